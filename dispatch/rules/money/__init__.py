"""The rules about prices and pay."""
