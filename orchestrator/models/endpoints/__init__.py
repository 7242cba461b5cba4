"""Needs and words of endpoints: keys before the first request, the loading of models, and reasons of failures."""
