"""The teams that a run can be started with."""
