"""Plain lines of the command line, and commands to copy. Control characters are shown, see `control_characters`."""

import shlex
import shutil
import sys
from pathlib import Path
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


def command(*words: str, db: str | None = None) -> str:
    """Return a command that the reader can copy, such as `.venv/bin/orchestrator resume t`.

    Args:
        words: The words after the program's name.
        db: The database, unless it is the default one.
    """
    program = Path(sys.argv[0])
    name = "orchestrator"
    if program.name == "__main__.py" and program.parent.name == name:  # another module may call this program
        return shlex.join([_python(), "-m", name, *words, *(["--db", db] if db else [])])
    # The bare name would start another installation, or none, where the PATH does not lead to this program.
    if program.stem == name and (on_path := shutil.which(name)) != sys.argv[0]:
        is_on_path = on_path is not None and program.exists() and program.samefile(on_path)
        name = name if is_on_path else sys.argv[0]
    return shlex.join([name, *words, *(["--db", db] if db else [])])


def _python() -> str:
    """Return the command for this Python: its name if the PATH leads to it, otherwise its path."""
    path = Path(sys.executable)
    return path.name if shutil.which(path.name) == str(path) else str(path)
