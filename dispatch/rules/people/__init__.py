"""Rules about people: quiet hours, reachability, push endpoints, the desk's notes."""
