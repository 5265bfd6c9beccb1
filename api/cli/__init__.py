"""The command line: one module per noun, imported late so that help comes at once."""
