"""One sender per channel: each takes a rendered message and says sent, retry or give up."""
