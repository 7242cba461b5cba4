"""Help texts: complete, as they were written, and narrow enough for any terminal."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from orchestrator.cli.commands import app
from orchestrator.cli.console import VisibleConsole
from orchestrator.cli.main import main

ROOT: Any = typer.main.get_command(app)


def commands(group: Any, *names: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        yield (*names, name), command
        if hasattr(command, "commands"):
            yield from commands(command, *names, name)


COMMANDS = [((), ROOT), *commands(ROOT)]


def help_of(names: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main([*names, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "command"), COMMANDS, ids=[" ".join(names) or "orchestrator" for names, _ in COMMANDS]
)
@pytest.mark.parametrize("width", [60, 80])
def test_every_word_of_a_help_text_is_printed(
    names: tuple[str, ...],
    command: Any,
    width: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    printed = help_of(names, capsys)
    words = "".join(printed.split())
    texts = [inspect.cleandoc(command.help or ""), *(each.help for each in command.params if getattr(each, "help", ""))]
    for text in texts:
        assert "".join(text.split()) in words
    assert max(map(len, printed.splitlines())) <= width


def test_no_command_in_the_list_is_told_of_by_half_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    for names, command in COMMANDS:
        if hasattr(command, "commands"):
            assert "..." not in help_of(names, capsys).replace("COMMAND [ARGS]...", "")


def test_brackets_in_a_help_text_stay(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ROOT.commands["show"], "help", "See [t1], [bold] and [/x] of a thread :bug:.")
    with pytest.raises(SystemExit):
        ROOT(["show", "--help"])
    assert "See [t1], [bold] and [/x] of a thread :bug:." in capsys.readouterr().out


def test_brackets_in_an_error_of_the_command_line_stay(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["[bold]x[/bold]"])
    assert "No such command '[bold]x[/bold]'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["run", "x", "--max-time", "[red]"])
    assert "--max-time '[red]' is no time" in capsys.readouterr().err


def test_a_console_prints_brackets_colons_and_backslashes_as_they_are() -> None:
    from rich.table import Table

    text = "see [t1] [bold] [/] :bug: C:\\dir\\ \\[x]"
    console = VisibleConsole(width=200)
    with console.capture() as printed:
        console.print(text)
        console.print(text, style="bold", soft_wrap=True)
        table = Table(show_edge=False)
        table.add_column("[t1]")
        table.add_row(text)
        console.print(table)
    assert printed.get().count(text) == 3
    assert re.search(r"^ ?\[t1\]", printed.get(), re.M)
