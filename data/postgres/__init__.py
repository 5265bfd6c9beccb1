"""The embedded PostgreSQL: its folder, its supervisor and its users."""
