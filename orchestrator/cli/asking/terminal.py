"""Terminal: the person who started a run, asked its reviews one at a time while the run goes on.

A question is given up when its review is answered elsewhere, so no prompt waits for ever.
"""

import contextlib
import os
import select
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from rich.console import Console
from rich.text import Text

from orchestrator.cli.asking.ask import ask_at_terminal
from orchestrator.cli.asking.editing import keep
from orchestrator.cli.progress.keys import forget_typed
from orchestrator.errors import DecisionError
from orchestrator.reviews.review import Decision, Review, check_decision
from orchestrator.runs.interventions.interventions import user_name

_PATIENCE_S = 1.0


class _GivenUpError(Exception):
    """The question that is being asked needs no answer any more."""


class Terminal:
    """An `on_review` that asks at the terminal.

    Args:
        console: The console.
        aside: Returns a context in which nothing else is drawn on the console.
    """

    def __init__(self, console: Console, aside: Callable[[], AbstractContextManager[None]]) -> None:
        self._console = console
        self._aside = aside
        self._asked = ""
        self._standing: Decision | None = None
        self._is_free = threading.Event()
        self._is_free.set()
        # A pipe wakes the prompt at once. A thread that blocks in a read of stdin could not be woken, and the
        # interpreter aborts when it ends while such a thread holds stdin's lock.
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_reader, False)
        self._lock = threading.Lock()

    def __call__(self, review: Review) -> Decision | None:
        """Ask a review. Called on a thread of its own."""
        with self._lock, contextlib.suppress(BlockingIOError):
            self._asked, self._standing = review.id, None
            os.read(self._wake_reader, 4096)  # a wake-up that came while an editor was open
        self._is_free.clear()
        try:
            with self._aside():
                forget_typed()  # a key that was pressed before the question was seen is no answer to it
                decision = self._ask(review)
                self._tell_standing()  # it may have come while an editor was open
                if self._standing is not None and decision is not None and decision.action == "edit":
                    self._console.print(f"  your edit is kept in {keep(review, decision)}", soft_wrap=True)
                return decision
        finally:
            with self._lock:
                self._asked = ""
            self._is_free.set()

    def _ask(self, review: Review) -> Decision | None:
        try:
            while (decision := ask_at_terminal(review, self._console, self._read)) is not None:
                try:
                    return check_decision(review, decision.model_copy(update={"by": user_name()}))
                except DecisionError as error:  # such as an edited plan that is not sound: ask again
                    self._console.print(str(error), style="red")
        except _GivenUpError:
            forget_typed()
            if self._standing is None:
                self._console.print()  # the run has ended, and what comes next begins on a line of its own
        return None

    def answered_elsewhere(self, review: Review, decision: Decision) -> None:
        """Give the question up, if it is the one that is being asked."""
        with self._lock:
            if review.id == self._asked:
                self._standing = decision
                os.write(self._wake_writer, b"!")

    def leave(self) -> None:
        """Give the question up, since the run has ended or was interrupted. The terminal is free afterwards."""
        with self._lock:
            if self._asked:
                os.write(self._wake_writer, b"!")
        self._is_free.wait(_PATIENCE_S)

    def _tell_standing(self) -> None:
        if (decision := self._standing) is not None:
            who = f" by {decision.by}" if decision.by else ""
            self._console.print(f"\n  answered elsewhere: {decision.action}{who}")

    def _read(self, prompt: Text) -> str:
        """Read a line, unless the review is answered elsewhere first.

        Raises:
            EOFError: The person pressed Ctrl-D.
        """
        if os.name == "nt":  # Windows cannot wait for a console and a pipe: the line that is typed is ignored
            return self._console.input(prompt)
        self._console.print(prompt, end="")
        ready, _, _ = select.select([sys.stdin, self._wake_reader], [], [])
        if self._wake_reader in ready:
            raise _GivenUpError
        # A terminal hands out one line at a time, so nothing is left in Python's buffer, which `select` cannot see.
        if not (line := sys.stdin.readline()):
            raise EOFError
        return line.rstrip("\n")
