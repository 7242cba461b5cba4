"""Runs in a notebook: a display that lives while a run works, and reviews with buttons."""
