"""The Python interface: running tasks, and looking at threads without running them."""
