"""A simulated town that uses the public API only."""
