"""A command at a terminal, for tests of what a person sees and types."""

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import time


def _as_at_a_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that a typed Ctrl-C is a signal
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell ignores it for what it runs in the background


class Terminal:
    """A command at a terminal of 80 columns, whose screen is read as text.

    Args:
        arguments: The words of the command.
        grace_s: Seconds that it gets after Ctrl-C. A busy machine needs more of them than a person waits.
    """

    def __init__(self, *arguments: str, grace_s: float = 60) -> None:
        self._master, slave = pty.openpty()
        command = [sys.executable, "-m", "orchestrator", *arguments]
        environment = {
            **os.environ,
            "TERM": "dumb",
            "NO_COLOR": "1",
            "COLUMNS": "80",
            "ORCHESTRATOR_INTERRUPT_S": str(grace_s),
        }
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
            preexec_fn=_as_at_a_terminal,
        )
        os.close(slave)
        self._seen = ""

    def type(self, text: str) -> None:
        """Type a text."""
        os.write(self._master, text.encode())

    def expect(self, text: str) -> str:
        """Read until the text comes, and return what came before."""
        until = time.monotonic() + 120
        while text not in self._seen:
            assert time.monotonic() < until, self._seen
            try:
                self._seen += os.read(self._master, 65536).decode(errors="replace")
            except OSError:
                raise AssertionError(self._seen) from None
        before, _, self._seen = self._seen.partition(text)
        return before

    def close(self) -> None:
        """End the command if it still runs, and close the terminal."""
        self.process.kill()
        self.process.wait()
        os.close(self._master)
