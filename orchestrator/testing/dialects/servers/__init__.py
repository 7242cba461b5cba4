"""Dialects of servers that exist, with the sources of their words."""
