"""A run as a picture or a file."""
