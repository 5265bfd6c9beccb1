"""The JSON API of the desk."""
