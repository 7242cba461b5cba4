"""The progress of a run on a screen and in a log."""
