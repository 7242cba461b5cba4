"""Pauses: questions that tools, and the graphs that tools run, ask a human by LangGraph's `interrupt()`."""
