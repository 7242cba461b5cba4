"""Keys that are typed while the screen is drawn on: a terminal that echoed them would tear the drawing."""

import contextlib
import os
import sys
from typing import Any


class SilentKeys:
    """Keeps a terminal from echoing what is typed, until it is released. Keys such as Ctrl-C work as before."""

    def __init__(self) -> None:
        self._before: list[Any] | None = None

    def hold(self) -> None:
        """Turn the echo off, where there is a terminal and it is this process that a person types to."""
        # Windows has no termios, and stdin may be closed or replaced.
        with contextlib.suppress(ImportError, OSError, ValueError, AttributeError):
            import termios

            terminal = sys.stdin.fileno()
            # The system stops a background process that changes a terminal.
            if not sys.stdin.isatty() or os.tcgetpgrp(terminal) != os.getpgrp():
                return
            before = termios.tcgetattr(terminal)
            silent = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
            termios.tcsetattr(terminal, termios.TCSANOW, silent)
            self._before = before

    def release(self) -> None:
        """Turn the echo on again."""
        before, self._before = self._before, None
        if before is not None:
            with contextlib.suppress(ImportError, OSError, ValueError, AttributeError):
                import termios

                termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, before)


def forget_typed() -> None:
    """Forget what a person has begun to type: it must not answer a question that comes later."""
    with contextlib.suppress(ImportError, OSError, ValueError, AttributeError):
        import termios

        termios.tcflush(sys.stdin, termios.TCIFLUSH)
