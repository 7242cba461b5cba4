"""What LangGraph has saved of the executions of nodes."""
