"""A thread as one file that one would send to a colleague: HTML, Markdown or JSON."""
