"""Records, settings, the database and its SQL."""
