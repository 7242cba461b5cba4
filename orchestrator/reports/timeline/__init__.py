"""A run as a timeline: what worked when, what each sub-task waited for, what decided the end, and what it cost."""
