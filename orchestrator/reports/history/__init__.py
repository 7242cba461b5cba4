"""Histories of a thread's tasks, put together from its journal."""
