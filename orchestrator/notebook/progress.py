"""NotebookProgress: the progress of a run, drawn anew in place while the run works."""

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from orchestrator.control_characters import visible
from orchestrator.events import Answered, Cancelled, Event, ReviewAsked
from orchestrator.notebook.board import NotebookBoard
from orchestrator.notebook.page import board_html, board_text
from orchestrator.runs.run import Run

_PAUSE_S = 0.25  # a front end falls behind if a table is drawn more often
_TICK_S = 1.0
_PATIENCE_S = 900.0  # without any event: the run may have ended without a word


def is_notebook() -> bool:
    """True in a kernel, which has a front end that draws in place: Jupyter, VS Code, Colab."""
    ipython = sys.modules.get("IPython")  # a kernel has loaded it
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


class NotebookProgress:
    """Shows the events of a run. Give it as `on_event` to `run`, `resume` and their twins.

    In a notebook the output of the cell is drawn anew in place. Elsewhere each event is a line.

    Args:
        run: The run that is resumed, for the part of its plan that is done.
        clock: Returns seconds.
    """

    def __init__(self, run: Run | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._board = NotebookBoard(clock)
        if run is not None:
            self._board.begin_with(run)
        self._end: Run | None = None
        self._lock = threading.Lock()
        self._sending = threading.Lock()  # taken before the other: an older drawing must not follow a newer one
        self._news = threading.Event()
        self._handle: Any = None
        self._drawer: threading.Thread | None = None
        self._is_drawing = is_notebook()

    def __call__(self, event: Event) -> None:
        """Show an event. It may come on any thread."""
        with self._lock:
            self._board.take(event)
            self._end = None
        if not self._is_drawing:
            _print(event)
            return
        self.show()
        self._news.set()
        if isinstance(event, ReviewAsked | Answered | Cancelled):
            # Mostly the last event: the cell may end with it, and a later drawing is not saved with the notebook.
            self._draw()
        with self._lock:
            if self._drawer is None:
                # Drawing on the event loop's thread would hold up the run.
                self._drawer = threading.Thread(target=self._draw_on, name="orchestrator-notebook", daemon=True)
                self._drawer.start()

    def show(self) -> None:
        """Show the progress in the output of this cell, if no cell shows it yet."""
        if self._is_drawing and self._handle is None:
            from IPython.display import display

            self._handle = display(self._drawing(), raw=True, display_id=True)  # type: ignore[no-untyped-call]

    def close(self, run: Run | None = None, error: BaseException | None = None) -> None:
        """Draw the end of a run, or of a part of it.

        Args:
            run: The run, which is shown in place of its progress.
            error: Why there is no run.
        """
        with self._lock:
            self._board.end("" if error is None else str(error) or type(error).__name__)
            self._end = run
        self._draw()

    def _draw_on(self) -> None:
        newest = time.monotonic()
        while True:
            # Without news too: the seconds of a long request are the sign that something is at work.
            is_news = self._news.wait(_TICK_S)
            self._news.clear()
            newest = time.monotonic() if is_news else newest
            self._draw()
            with self._lock:
                # Seconds go on while an agent works. Without work the thread ends, and the next event begins another.
                is_over = not self._board.is_at_work or time.monotonic() - newest > _PATIENCE_S
                if is_over and not self._news.is_set():
                    self._drawer = None
                    return
            time.sleep(_PAUSE_S)

    def _draw(self) -> None:
        with self._sending:
            if self._handle is not None:
                self._handle.update(self._drawing(), raw=True)

    def _drawing(self) -> dict[str, str]:
        """Return the state in the forms among which a front end chooses."""
        with self._lock:
            if self._end is not None:
                return self._end._repr_mimebundle_()
            return {"text/plain": visible(board_text(self._board)), "text/html": board_html(self._board)}


def _print(event: Event) -> None:
    from orchestrator.cli.progress.event_lines import event_lines

    for line in event_lines(event):
        print(visible(line), flush=True)  # noqa: T201 - the output of a program that is no notebook
