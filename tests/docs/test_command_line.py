"""docs/command_line.md: every command is in its table, with options that there are."""

import re
from pathlib import Path
from typing import Any

from typer.main import get_command

from orchestrator.cli.commands import app

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "command_line.md").read_text()
COMMANDS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]


def test_every_command_is_told_and_no_other() -> None:
    assert set(re.findall(r"^\| `(\w+)", TEXT, re.M)) == set(COMMANDS)


def test_every_option_in_the_table_is_one_of_its_command() -> None:
    for name, told in re.findall(r"^\| `(\w+)(.*)$", TEXT, re.M):
        options = {option for each in COMMANDS[name].params for option in each.opts}
        assert set(re.findall(r"`(--?[a-z-]+)", told)) <= options, name
