"""CancelSignal: cuts short what threads wait for.

Python cannot end a thread from outside. But a blocking run does all its waiting in the blocking bridge, and the bridge
waits for the signal of its run as well. A function that the bridge has called on a thread of its own goes on
unattended, as after its time limit.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar


# Like asyncio's, it passes all code that handles errors. LangGraph 1.2 makes an error of asyncio's own in a thread.
class WaitCancelledError(BaseException):
    """The run that waits was cancelled."""


class CancelSignal:
    """A signal that is given once, to all threads of a run."""

    def __init__(self) -> None:
        self.is_set = False
        self._wakes: list[Callable[[], object]] = []
        self._lock = threading.Lock()

    def set(self) -> None:
        """Wake everything that waits, and let nothing wait any more."""
        with self._lock:
            self.is_set = True
            wakes, self._wakes = self._wakes, []
        for wake in wakes:
            wake()

    @contextlib.contextmanager
    def waking(self, wake: Callable[[], object]) -> Iterator[None]:
        """Call a function when the signal is given inside the block.

        Raises:
            WaitCancelledError: The signal was given before.
        """
        with self._lock:
            if self.is_set:
                raise WaitCancelledError
            self._wakes.append(wake)
        try:
            yield
        finally:
            with self._lock:
                if wake in self._wakes:
                    self._wakes.remove(wake)


# LangGraph and LangChain copy the context variables to the threads that they start.
SIGNAL: ContextVar[CancelSignal | None] = ContextVar("SIGNAL", default=None)
"""The signal of the run that the thread works for."""


def wait_for(event: threading.Event, seconds: float | None = None) -> bool:
    """Wait for an event. Return True once it is set, and False after the time.

    Raises:
        WaitCancelledError: The run was cancelled meanwhile. The event may be set then, too.
    """
    if (signal := SIGNAL.get()) is None:
        return event.wait(seconds)
    with signal.waking(event.set):
        is_set = event.wait(seconds)
    if signal.is_set:
        raise WaitCancelledError
    return is_set
