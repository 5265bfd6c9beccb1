"""Processes that serve, and the adapters between the API and the scheduler."""
