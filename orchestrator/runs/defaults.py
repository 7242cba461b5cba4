"""Defaults that the command line shows before the engine is loaded. This module imports nothing."""

DEFAULT_TEAM = "research_team"
