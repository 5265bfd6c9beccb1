"""The faces of tekkie: the JSON API, the pages and the command line."""
