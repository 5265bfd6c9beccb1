"""Import of friends from files."""
