"""Plain lines of the command line. Control characters in them are shown, see `control_characters`."""

from typing import Any

import typer

from orchestrator.control_characters import visible, visible_json


def echo(text: str, *, err: bool = False) -> None:
    """Print a text and a line end.

    Args:
        text: The text.
        err: Print to stderr.
    """
    typer.echo(visible(text), err=err)


def echo_json(value: Any) -> None:
    """Print a JSON-plain value on one line."""
    # Not printed by rich, which would break the lines of the JSON at the width of the terminal.
    typer.echo(visible_json(value))
