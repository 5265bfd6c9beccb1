"""Friends and everybody who signs in."""
