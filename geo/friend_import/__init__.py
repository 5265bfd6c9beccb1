"""Friends read from files."""
