"""Where packages can be served."""
