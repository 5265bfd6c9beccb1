"""Reads and writes records; takes a transaction, never opens one."""
