"""The engine under LangGraph's server."""
