"""Watching: what `orchestrator serve` does with open reviews while nobody looks at the page."""
