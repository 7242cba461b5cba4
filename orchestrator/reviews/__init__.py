"""Questions to a human, and their answers."""
