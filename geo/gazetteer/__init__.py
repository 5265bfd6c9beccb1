"""Postcodes and towns, offline."""
