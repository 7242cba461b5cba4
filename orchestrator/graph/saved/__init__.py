"""Executions of nodes, as LangGraph has saved them."""
