"""Rules about prices and pay."""
