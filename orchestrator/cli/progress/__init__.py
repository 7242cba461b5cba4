"""The progress of a run on a screen or in a log."""
