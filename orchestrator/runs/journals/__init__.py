"""Journals, for those who look at a thread."""
