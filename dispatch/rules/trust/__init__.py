"""The rules that protect people from one another: who may know what, and for how long."""
