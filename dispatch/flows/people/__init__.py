"""Friends, their devices, and sign-in."""
