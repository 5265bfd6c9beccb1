"""The spatial index of friends."""
