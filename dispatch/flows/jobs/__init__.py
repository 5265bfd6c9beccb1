"""Bookings and jobs: orders, the verbs of a job, due timers."""
