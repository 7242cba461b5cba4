"""Tool calls, from the wish of a worker to the answer that it is shown."""
