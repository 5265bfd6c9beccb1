"""Postcodes, geocoding and coverage."""
