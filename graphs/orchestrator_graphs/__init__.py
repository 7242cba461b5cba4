"""Ready teams: each module joins the engine and the tools, and exposes `team` and `graph`."""
