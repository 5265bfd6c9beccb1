"""Frozen records, by subject."""
