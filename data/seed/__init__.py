"""The catalogue of packages and certificates, and the demo town."""
