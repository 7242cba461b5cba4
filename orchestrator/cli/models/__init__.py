"""Models at the command line."""
