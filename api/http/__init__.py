"""What every request passes: authentication, routing, problems, limits."""
