"""Python in Monty: an interpreter for a subset of Python without any access to the system.

The code runs in a worker process, so that a crash of the interpreter does not reach this process. The interpreter gets
no files, no functions of ours and no clock to wait for.
"""

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestrator_tools.forks import forget_in_children, keep_for_ever
from orchestrator_tools.python.sandbox import Outcome, SandboxUnavailableError

if TYPE_CHECKING:
    from pydantic_monty import Monty, MontySession

_GRACE_S: Final = 2.0
_START_S: Final = 20.0


class MontySandbox:
    """Sessions in Monty. The first session starts the workers.

    Args:
        time_limit_s: Seconds for one piece of code.
        memory_mb: Megabytes of one session.
        characters: Most characters of print and of a value that are kept.
        sessions: Most sessions at once.
    """

    def __init__(self, *, time_limit_s: float, memory_mb: int, characters: int, sessions: int) -> None:
        self.time_limit_s = time_limit_s
        self.memory_mb = memory_mb
        self.characters = characters
        self.sessions = sessions
        self._lock = threading.Lock()
        self._pool: Monty | None = None
        forget_in_children(self)

    def forget_parent(self) -> None:
        """Begin without workers. The workers of a forked child's parent belong to the parent."""
        keep_for_ever(self._pool)
        self._lock, self._pool = threading.Lock(), None

    def start(self, workspace: Path | None) -> "MontyPython":
        """Start a session. It has no files, and so no workspace.

        Args:
            workspace: Not used.

        Raises:
            SandboxUnavailableError: Monty is missing, or does not start.
        """
        try:
            from pydantic_monty import MontyError
        except ImportError as error:
            raise SandboxUnavailableError("the package pydantic-monty is not installed") from error
        try:
            session = self._workers().checkout(
                limits={
                    "max_feed_duration_secs": self.time_limit_s,
                    "max_memory": self.memory_mb * 1_000_000,
                    "max_recursion_depth": 500,
                },
                # The pool sleeps outside the time limit, so code that sleeps would never run into it.
                os_policy={"sleep": "zero"},
            )
            session.__enter__()
        except (MontyError, OSError, RuntimeError) as error:
            raise SandboxUnavailableError(f"Monty does not start ({str(error)[:300]})") from error
        return MontyPython(session, self.characters, self.time_limit_s)

    def close(self) -> None:
        """Stop the workers."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.__exit__(None, None, None)

    def _workers(self) -> "Monty":
        from pydantic_monty import Monty

        with self._lock:
            if self._pool is None:
                pool = Monty(
                    max_processes=self.sessions + 1,  # a worker can still be ending while the next one starts
                    checkout_timeout=_START_S,
                    # The pool kills a worker that does not keep to its own limit.
                    request_timeout=self.time_limit_s + _GRACE_S,
                )
                pool.__enter__()
                self._pool = pool
            return self._pool


class MontyPython:
    """One session; its pieces of code must not run at the same time.

    Args:
        session: Monty's session.
        characters: Most characters of print and of a value that are kept.
        time_limit_s: Seconds for one piece of code, for the messages.
    """

    def __init__(self, session: "MontySession", characters: int, time_limit_s: float) -> None:
        self._session = session
        self._characters = characters
        self._time_limit_s = time_limit_s
        self._ended = False

    def run(self, code: str) -> Outcome:
        """Run a piece of code.

        Args:
            code: Python, within Monty's subset.
        """
        from pydantic_monty import MontyCrashedError, MontyError, MontyRuntimeError, MontySyntaxError

        printed = _Printed(self._characters)
        try:
            value = self._session.feed_run(code, print_callback=printed.add)
            shown = None if value is None else _shown(value)
            return Outcome(printed.text, printed.left_out, shown)
        except (MontyRuntimeError, MontySyntaxError) as error:
            timed_out = isinstance(error.exception(), TimeoutError) and "time limit exceeded" in str(error)
            # Monty makes no promise about a session after it interrupted one, so the session is given up.
            ended = f"the code ran longer than {self._time_limit_s:g} seconds" if timed_out else None
            if ended is None and self._session.worker_pid is None:
                ended = "the code used too much memory"
            return self._failed(printed, error.display(), ended)
        except MontyCrashedError as error:
            why = f"the code ran longer than {self._time_limit_s:g} seconds" if error.timed_out else "Python crashed"
            return self._failed(printed, str(error), why)
        except (MontyError, RuntimeError) as error:
            return self._failed(printed, str(error), "Python broke down")

    def end(self) -> None:
        """Return the worker to the pool, which removes the session's names."""
        if not self._ended:
            self._ended = True
            self._session.__exit__(None, None, None)

    def _failed(self, printed: "_Printed", error: str, ended: str | None) -> Outcome:
        return Outcome(printed.text, printed.left_out, None, error, ended)


class _Printed:
    """The beginning of the printed text. The rest is counted and dropped, so that endless printing takes no memory."""

    def __init__(self, most: int) -> None:
        self._pieces: list[str] = []
        self._room = most
        self.left_out = 0

    def add(self, _stream: str, text: str) -> None:
        kept = text[: self._room]
        if kept:
            self._pieces.append(kept)
        self._room -= len(kept)
        self.left_out += len(text) - len(kept)

    @property
    def text(self) -> str:
        return "".join(self._pieces)


def _shown(value: Any) -> str:
    """Return a value as Python shows it. Monty returns plain data, which can still be too deep or too long to show."""
    try:
        return repr(value)
    except (RecursionError, ValueError) as error:
        return f"<{type(value).__name__} that cannot be shown: {error}>"
