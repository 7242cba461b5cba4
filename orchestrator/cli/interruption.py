"""Ctrl-C: it gives the prompt back within two seconds, whatever hangs.

The first Ctrl-C interrupts the command as Python does, and the run lets go of its thread. If that takes too long, as
with a tool that blocks the event loop, the process ends all the same: a process that is killed loses nothing, so its
thread can be resumed. A second Ctrl-C ends it at once.

This module is loaded before all others and loads next to nothing.
"""

import atexit
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

EXIT_INTERRUPTED = 128 + signal.SIGINT
NOT_BEGUN = "interrupted before the run began; start it again"
GRACE_VARIABLE = "ORCHESTRATOR_INTERRUPT_S"
_GRACE_S = 1.5
_LAST_RESORT_S = 3.0  # after the grace; a thread of a busy machine may come late
_SHOW_CURSOR = "\x1b[?25h"


class CtrlC:
    """The answer of the command line to Ctrl-C.

    Attributes:
        way_on: Returns the line that says how the command goes on; empty where nothing was begun.
    """

    def __init__(self) -> None:
        self.way_on: Callable[[], str] = str
        self._settled: threading.Event | None = None  # of an interruption that goes on
        self._is_ignored = False
        self._grace_s = _GRACE_S
        self._terminal: list[object] | None = None

    def install(self) -> None:
        """Take over Ctrl-C, unless it is ignored, as a shell does for a command in the background."""
        if (
            threading.current_thread() is not threading.main_thread()
            or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        ):
            return
        with contextlib.suppress(ValueError):
            self._grace_s = float(os.environ.get(GRACE_VARIABLE, _GRACE_S))
        with contextlib.suppress(ImportError, AttributeError, ValueError):  # Windows; no stdin, or one that is closed
            if sys.stdin.isatty():
                import termios

                self._terminal = termios.tcgetattr(sys.stdin.fileno())
        signal.signal(signal.SIGINT, self._interrupt)

    def tell(self) -> None:
        """Print once how the command goes on."""
        way_on, self.way_on = self.way_on, str
        if line := way_on():
            # Not by `print`: a thread that hangs may hold the lock of stderr.
            os.write(2, f"\n{line}\n".encode(errors="backslashreplace"))

    @property
    def is_answered(self) -> bool:
        """True while no interruption goes on."""
        return self._settled is None

    def leave(self) -> NoReturn:
        """End the interrupted process without taking its modules apart, which takes a busy machine a second."""
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        atexit._run_exitfuncs()  # they end child processes, such as servers of tools
        os._exit(EXIT_INTERRUPTED)

    def settle(self) -> None:
        """End an interruption: the command has answered it and goes on, as a conversation does."""
        if self._settled is not None:
            self._settled.set()
            self._settled = None
            if hasattr(signal, "setitimer"):
                signal.setitimer(signal.ITIMER_REAL, 0)

    @contextlib.contextmanager
    def ignored(self) -> Iterator[None]:
        """Ignore Ctrl-C inside the block, where it belongs to another program, such as an editor."""
        self._is_ignored = True
        try:
            yield
        finally:
            self._is_ignored = False

    @contextlib.contextmanager
    def ending_at_once(self) -> Iterator[None]:
        """Let the system end the process inside the block, where no handler of Python's could run."""
        if (
            threading.current_thread() is not threading.main_thread()
            or signal.getsignal(signal.SIGINT) != self._interrupt
        ):
            yield
            return
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, self._interrupt)

    def _interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        if self._is_ignored:
            return
        if self._settled is not None:
            self._end()
        self._settled = threading.Event()
        with contextlib.suppress(RuntimeError):  # the interpreter is ending, and starts no thread
            threading.Thread(target=self._watch, args=(self._settled,), daemon=True).start()
        # The system ends the process where not even a thread could: in code that holds Python's lock, or in the
        # destructors of a library.
        if hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, self._grace_s + _LAST_RESORT_S)
        raise KeyboardInterrupt

    def _watch(self, settled: threading.Event) -> None:
        if not settled.wait(self._grace_s):
            self._end()

    def _end(self) -> None:
        """End the process, with a terminal that can be used."""
        if self._terminal is not None:
            with contextlib.suppress(Exception):
                import termios

                termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, self._terminal)  # type: ignore[arg-type]
        if os.isatty(2):
            os.write(2, _SHOW_CURSOR.encode())
        self.tell()
        os._exit(EXIT_INTERRUPTED)


CTRL_C = CtrlC()
"""The one of this process, as signals are."""
