"""Readers of formats, which run in the child process of `extraction.py` only."""
