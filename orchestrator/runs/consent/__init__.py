"""What a run does only if a person agrees."""
