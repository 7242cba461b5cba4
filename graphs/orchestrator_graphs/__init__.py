"""Ready teams. Each module joins the engine and the tools, and has a `team` and a `graph`."""
