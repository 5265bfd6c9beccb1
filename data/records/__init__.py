"""Frozen records, one per table, by subject."""
