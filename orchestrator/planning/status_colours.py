"""Colours of a status, the same wherever a plan is shown."""

from orchestrator.planning.outcome import Status

FILLS: dict[Status, str] = {
    "running": "#d7e6fb",
    "waiting": "#ffeebf",
    "succeeded": "#d3f0dc",
    "failed": "#f8d0d6",
    "skipped": "#e6e6e6",
}
"""For boxes in pictures, in which the text is dark."""

TERMINAL_STYLES: dict[Status, str] = {
    "running": "cyan",
    "waiting": "yellow",
    "succeeded": "green",
    "failed": "red",
    "skipped": "dim",
}
"""Names of rich, for text in a terminal."""
