"""Standing rules: what a human has answered with "always allow this", kept in a file of policies."""
