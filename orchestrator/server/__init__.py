"""What LangGraph's server needs of the engine."""
