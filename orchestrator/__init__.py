"""Agent Task Orchestrator: a supervisor, a team of workers, a shared memory and a human, on LangGraph."""
