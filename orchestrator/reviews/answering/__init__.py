"""Answering: what a person types, read as a decision, wherever it is typed."""
