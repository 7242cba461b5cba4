"""Chat completions as endpoints send them, whole and in pieces."""
