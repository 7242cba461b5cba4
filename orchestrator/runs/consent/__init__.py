"""Consent: things that a run does only if a person agrees."""
