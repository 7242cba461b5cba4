"""Runs that the page starts and resumes in the process of its server."""
