"""LiveDisplay: a part of the screen that is drawn anew several times a second, the run as a whole in its last line."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from orchestrator.cli.progress.board import IDLE, Board
from orchestrator.cli.progress.event_lines import describe_event
from orchestrator.cli.progress.glyphs import Glyphs, short_time
from orchestrator.cli.progress.keys import SilentKeys
from orchestrator.cli.progress.reflow import Reflow
from orchestrator.cli.progress.rows import rows
from orchestrator.cli.progress.summary_line import summary_line
from orchestrator.events import BudgetShort, Cancelled, Event, Planned, Steered, SubTaskChanged, ToolRefused
from orchestrator.model_calls.call_events import FellBack, ModelLoading

_FRAMES_A_SECOND = 5
# The cursor stands behind the last line, and a terminal writes "^C" there.
_MARGIN = 3


class LiveDisplay:
    """Shows each sub-task while there is room. What goes wrong or changes the run stays on the screen as a line above.

    Args:
        console: The console, whose terminal can move its cursor.
        clock: Returns seconds.
        idle: What an agent is said to do while nothing of it is known.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic, idle: str = IDLE) -> None:
        self._console = console
        self._glyphs = Glyphs.of(console)
        self._board = Board(clock, idle)
        self._lock = threading.RLock()  # rich draws on a thread of its own
        self._live: Live | None = None
        self._reflow = Reflow(console)
        self._keys = SilentKeys()
        self._is_aside = False
        self._is_drawn = False
        self._notices: list[str] = []

    def __enter__(self) -> Self:
        self._is_drawn = True
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_drawn = False
        self._end()

    def _begin(self) -> None:
        # Not the one before: rich 15 would move the cursor up by the height of its last drawing.
        with self._lock:
            self._reflow = Reflow(self._console)
            # With a function that rich calls on its own thread, the times advance while no event comes.
            self._live = Live(get_renderable=self._render, console=self._console, refresh_per_second=_FRAMES_A_SECOND)
        self._keys.hold()
        self._live.start(refresh=True)

    def _end(self) -> None:
        """Leave one line on the screen: what comes next tells the rest."""
        with self._lock:
            live, self._live = self._live, None
        try:
            if live is not None:
                live.stop()
        finally:
            self._keys.release()

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Leave one line on the screen, and draw on after the block."""
        self._is_aside = True
        self._end()
        try:
            yield
        finally:
            self._is_aside = False
            if self._is_drawn:  # the run may have been interrupted meanwhile
                self._begin()
                self._print_notices()

    def recall(self, events: Iterable[Event]) -> None:
        """Take the events of an earlier run of the thread.

        Args:
            events: The events, in order.
        """
        with self._lock:
            for event in events:
                self._board.take(event)

    def tell(self, event: Event) -> None:
        """Show the event from the next drawing on."""
        with self._lock:
            self._board.take(event)
            if _is_notice(event):
                elapsed = short_time(self._board.clock() - self._board.began)
                self._notices.append(f"{elapsed}{self._glyphs.separator}{describe_event(event)}")
        if not self._is_aside:
            self._print_notices()

    def _print_notices(self) -> None:
        with self._lock:
            notices, self._notices = self._notices, []
        live = self._live
        if notices and live is not None:
            live.refresh()  # looks for another width first
        for notice in notices:
            self._console.print(Text(self._glyphs.line(notice), style="yellow"))

    def _render(self) -> RenderableType:
        with self._lock:
            width, height = self._console.width, self._console.height
            is_working = self._live is not None
            line = summary_line(
                self._board, width - _MARGIN, self._glyphs, is_working=is_working, is_over=not self._is_drawn
            )
            # The drawing that stays on the screen must not show work that has ended.
            lines = rows(self._board, width - 1, height - 2, self._glyphs) if is_working else []
            drawn = [*lines, line]
            self._reflow.draws(drawn)
        for each in drawn:
            each.no_wrap = True
        return Group(*drawn)


def _is_notice(event: Event) -> bool:
    """True if the event changes the run and has no row of its own."""
    match event:
        case Planned(retries=retries):
            return bool(retries)
        case SubTaskChanged(status="pending", error=feedback):
            return bool(feedback)
    return isinstance(event, BudgetShort | Cancelled | FellBack | ModelLoading | Steered | ToolRefused)
