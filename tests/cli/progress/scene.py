"""A run on a screen of a test: a clock that the test sets, and the lines that are drawn."""

import io
from collections.abc import Iterable

from rich.console import Console

from orchestrator.cli.console import VisibleConsole
from orchestrator.cli.progress.board import Board
from orchestrator.cli.progress.glyphs import Glyphs
from orchestrator.cli.progress.rows import rows
from orchestrator.cli.progress.summary_line import summary_line
from orchestrator.events import Event


class Clock:
    """Time that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class TerminalText(io.StringIO):
    """What is written to a terminal of another encoding."""

    encoding = "ascii"


def a_console(*, terminal: bool = False, width: int = 110, height: int = 24, ascii_only: bool = False) -> Console:
    """Return a console that keeps what is printed."""
    return VisibleConsole(
        file=TerminalText() if ascii_only else io.StringIO(),
        force_terminal=terminal,
        width=width,
        height=height,
        color_system=None,
        legacy_windows=False,
        _environ={},
    )


def printed(console: Console) -> str:
    """Return what was printed."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


class Screen:
    """The display of a run, drawn on demand.

    Args:
        events: What has happened before.
        width: Columns.
        height: Lines.
        ascii_only: The terminal has no Unicode.
    """

    def __init__(self, *events: Event, width: int = 80, height: int = 24, ascii_only: bool = False) -> None:
        self.clock = Clock()
        self.board = Board(self.clock)
        self.width, self.height = width, height
        self._glyphs = Glyphs.of(a_console(ascii_only=ascii_only))
        self.tell(events)

    def tell(self, events: Iterable[Event]) -> None:
        """Tell events, one after the other."""
        for event in events:
            self.board.take(event)

    @property
    def lines(self) -> list[str]:
        """The lines of sub-tasks and supervisor."""
        return [line.plain.rstrip() for line in rows(self.board, self.width, self.height, self._glyphs)]

    def row(self, name: str) -> str:
        """Return the line of a sub-task, with single spaces."""
        return next(" ".join(line.split()) for line in self.lines if line[2:].split(" ")[0] == name)

    @property
    def last_line(self) -> str:
        """The line at the end."""
        return summary_line(self.board, self.width, self._glyphs, is_working=False).plain
