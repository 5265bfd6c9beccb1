"""Background work: due timers, delivery of messages, updates of the index."""
