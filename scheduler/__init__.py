"""What happens when nobody asks: due timers, deliveries and the feed of the index."""
