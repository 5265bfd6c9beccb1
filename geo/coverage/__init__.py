"""Coverage: where packages can be served."""
