"""Functions that run the named SQL blocks inside a transaction of the caller."""
