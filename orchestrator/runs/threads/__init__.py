"""The list of the threads of a database."""
