"""Server processes, and the adapters between the API and the scheduler."""
