"""PlainDisplay: one line for each event, for logs, pipes and terminals that cannot move their cursor."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Self

from rich.console import Console
from rich.text import Text

from orchestrator.cli.progress.event_lines import event_lines
from orchestrator.events import Event, Planned, SubTaskChanged

_ENDED = ("succeeded", "failed", "skipped")


class PlainDisplay:
    """Prints each event as a line with the time since the beginning.

    Args:
        console: The console.
        clock: Returns seconds.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._start = clock()
        self._lock = threading.Lock()
        self._held_back: list[Text] | None = None
        self._statuses: dict[str, str] = {}
        self._is_planned = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Hold the lines back inside the block."""
        self._held_back = []
        try:
            yield
        finally:
            with self._lock:
                lines, self._held_back = self._held_back, None
                for line in lines:
                    self._console.print(line, soft_wrap=True)

    def recall(self, events: Iterable[Event]) -> None:
        """Count with the events of an earlier run of the thread, without printing them.

        Args:
            events: The events, in order.
        """
        for event in events:
            self._counted(event)

    def tell(self, event: Event) -> None:
        """Print the event."""
        count = self._counted(event)
        for line in event_lines(event):
            # Text and not markup, since a model may write "[bold]". Not wrapped, so that an event is one line of a log.
            text = Text(f"{self._clock() - self._start:6.1f}s {line}{count}")
            with self._lock:
                if self._held_back is not None:
                    self._held_back.append(text)
                else:
                    self._console.print(text, soft_wrap=True)

    def _counted(self, event: Event) -> str:
        """Return how many sub-tasks have succeeded, where the event tells that one has ended."""
        if isinstance(event, Planned):
            self._is_planned = True
            self._statuses = {task.id: self._statuses.get(task.id, "") for task in event.plan}
        elif isinstance(event, SubTaskChanged):
            self._statuses[event.id] = event.status
            if event.status in _ENDED and self._is_planned:
                return f" ({list(self._statuses.values()).count('succeeded')}/{len(self._statuses)})"
        return ""
