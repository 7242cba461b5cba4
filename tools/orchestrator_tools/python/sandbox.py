"""Sandboxes for the code of a model: their interface, and the sessions that a tool keeps in them."""

import threading
import weakref
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from orchestrator_tools.forks import forget_in_children, keep_for_ever


class SandboxUnavailableError(RuntimeError):
    """A sandbox cannot be used on this machine. The message says what is missing. No weaker one takes its place."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a piece of code.

    Args:
        printed: The printed text, or its beginning.
        left_out: Characters of the print that are not in `printed`; bytes, if the print was not decoded.
        value: The value of the last expression, as Python shows it; None without one.
        error: The traceback of the error; None without one.
        ended: The reason for which the session ended and lost its names; None for a session that goes on.
    """

    printed: str = ""
    left_out: int = 0
    value: str | None = None
    error: str | None = None
    ended: str | None = None


class Session(Protocol):
    """An interpreter that keeps its names from one piece of code to the next."""

    def run(self, code: str) -> Outcome:
        """Run a piece of code to its end, or to a limit."""

    def end(self) -> None:
        """Stop everything that the session has started. May be called twice."""


class Sandbox(Protocol):
    """A kind of sandbox, which starts sessions."""

    def start(self, workspace: Path | None) -> Session:
        """Start a session.

        Args:
            workspace: The folder that the code may use, if the sandbox offers files.

        Raises:
            SandboxUnavailableError: The sandbox cannot be used on this machine.
        """

    def close(self) -> None:
        """End everything that the sandbox keeps between sessions."""


@dataclass
class _Kept:
    """A session that is kept for its sub-task.

    Invariant: the last of its `users` ends it, so that no session ends under running code.
    """

    session: Session | None = None
    users: int = 0
    dropped: bool = False
    one_by_one: threading.Lock = field(default_factory=threading.Lock)


class Sessions:
    """The sessions of one tool, one for each key. The sessions that were unused for longest are ended first.

    Args:
        sandbox: The sandbox of the sessions.
        most: Most sessions that are kept, and most pieces of code that run at once. Further pieces wait.
    """

    def __init__(self, sandbox: Sandbox, most: int) -> None:
        self.sandbox = sandbox
        self.most = most
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()
        self._running = threading.BoundedSemaphore(most)
        weakref.finalize(self, _end_all, self._kept, sandbox)  # a finalizer with `self` would keep it alive
        forget_in_children(self)

    def forget_parent(self) -> None:
        """Begin without sessions. The sessions of a forked child's parent belong to the parent."""
        keep_for_ever(dict(self._kept))
        self._kept.clear()
        self._lock = threading.Lock()
        self._running = threading.BoundedSemaphore(self.most)

    def run(self, key: str | None, workspace: Path | None, code: str) -> Outcome:
        """Run a piece of code in the session of a key.

        Args:
            key: Key of the session; None for a session of this piece of code alone.
            workspace: The workspace for a new session.
            code: Python.

        Raises:
            SandboxUnavailableError: A new session is needed, and the sandbox cannot be used.
        """
        with self._running:
            if key is None:
                session = self.sandbox.start(workspace)
                try:
                    return session.run(code)
                finally:
                    session.end()
            kept = self._hold(key)
            try:
                with kept.one_by_one:
                    if kept.session is None:
                        kept.session = self.sandbox.start(workspace)
                    outcome = kept.session.run(code)
                    if outcome.ended is not None:
                        session, kept.session = kept.session, None
                        session.end()
                    return outcome
            finally:
                self._release(kept)

    def end(self, key: str) -> None:
        """End the session of a key, if there is one.

        Args:
            key: Key of the session.
        """
        with self._lock:
            kept = self._kept.pop(key, None)
        if kept is not None:
            self._drop(kept)

    def _hold(self, key: str) -> _Kept:
        with self._lock:
            kept = self._kept.setdefault(key, _Kept())
            self._kept.move_to_end(key)
            kept.users += 1
            unused = [other for other, each in self._kept.items() if not each.users]
            gone = [self._kept.pop(other) for other in unused[: max(0, len(self._kept) - self.most)]]
        for each in gone:
            self._drop(each)  # outside the lock, since an end waits for processes
        return kept

    def _release(self, kept: _Kept) -> None:
        with self._lock:
            kept.users -= 1
            over = kept.dropped and not kept.users
        if over:
            _end(kept)

    def _drop(self, kept: _Kept) -> None:
        with self._lock:
            kept.dropped = True
            unused = not kept.users
        if unused:
            _end(kept)


def _end(kept: _Kept) -> None:
    session, kept.session = kept.session, None
    if session is not None:
        session.end()


def _end_all(kept: OrderedDict[str, _Kept], sandbox: Sandbox) -> None:
    while kept:
        _end(kept.popitem()[1])
    sandbox.close()
