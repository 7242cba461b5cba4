"""Checkpoints, store and journals in one SQLite file."""
