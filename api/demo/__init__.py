"""A town that lives by itself, through the public API alone."""
