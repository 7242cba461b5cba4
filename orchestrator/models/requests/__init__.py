"""Requests for chat completions, in the forms that endpoints take."""
