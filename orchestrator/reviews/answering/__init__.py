"""Answering: what a person types, and what a rule says, read as a decision."""
