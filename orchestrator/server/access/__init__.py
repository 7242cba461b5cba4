"""Access to the page: hosts, addresses, origins, tokens, sessions, and the rules for browsers."""
