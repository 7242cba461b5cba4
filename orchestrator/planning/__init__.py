"""Planning: plans as data, the outcomes of sub-tasks, and revisions."""
