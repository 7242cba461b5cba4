"""Display: shows the events of a run, live at a terminal and as plain lines elsewhere."""

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Protocol, Self

from rich.console import Console

from orchestrator.cli.progress.board import IDLE
from orchestrator.cli.progress.live import LiveDisplay
from orchestrator.cli.progress.plain import PlainDisplay
from orchestrator.events import Event


class Display(Protocol):
    """Shows the events of a run."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def recall(self, events: Iterable[Event]) -> None:
        """Take the events of an earlier run of the thread, of which nothing new is told."""

    def tell(self, event: Event) -> None:
        """Show an event. Called on the event loop's thread."""

    def aside(self) -> AbstractContextManager[None]:
        """Show nothing inside the block, where a person is asked. What came meanwhile is shown after it."""


def open_display(console: Console, clock: Callable[[], float] = time.monotonic, idle: str = IDLE) -> Display:
    """Return the display that fits the console.

    Args:
        console: The console.
        clock: Returns seconds.
        idle: What an agent is said to do while nothing of it is known.
    """
    # A dumb terminal cannot move its cursor.
    is_live = console.is_terminal and not console.is_dumb_terminal
    return LiveDisplay(console, clock, idle) if is_live else PlainDisplay(console, clock)
