"""Rules that protect personal data: who may see what, and for how long."""
