"""What happened on a thread, for those who look at it."""
