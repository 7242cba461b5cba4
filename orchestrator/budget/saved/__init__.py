"""Stored rows of budgets, read without LangGraph."""
