"""Rows of the store: reading, inserting and deleting them."""
