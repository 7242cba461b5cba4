"""Guests: graphs, functions and other things of the user's that do the work of a worker."""
