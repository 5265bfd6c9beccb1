"""What is so: records, settings and the SQL that keeps them."""
