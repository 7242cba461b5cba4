"""Reviewing: the open reviews of all threads, what each holds up, and the forms that answer them."""
