"""One background event loop a process, on which the blocking calls of the Python interface run.

It makes `run()` work where a loop is running already (a notebook), keeps HTTP connections alive between calls (they
belong to the loop that opened them), and lets Ctrl-C cancel a run cleanly instead of waiting for its threads.
"""

import asyncio
import atexit
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from orchestrator.errors import ConfigError

T = TypeVar("T")
_PATIENCE_S = 5.0
_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def _running_loop() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        if _loop is None or _loop.is_closed():
            _loop = asyncio.new_event_loop()
            thread = threading.Thread(target=_loop.run_forever, name="orchestrator-loop", daemon=True)
            thread.start()
            atexit.register(_shut_down, _loop, thread)
        return _loop


def _shut_down(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    """Closes the loop's HTTP connections, which live in asynchronous generators, and then the loop."""
    asyncio.run_coroutine_threadsafe(loop.shutdown_asyncgens(), loop).result(_PATIENCE_S)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(_PATIENCE_S)
    loop.close()


def is_background_loop() -> bool:
    """Whether this is called on the background loop's own thread, where waiting for the loop would never end."""
    try:
        return _loop is not None and asyncio.get_running_loop() is _loop
    except RuntimeError:
        return False


class BackgroundWork(Generic[T]):
    """A coroutine on the background loop.

    Args:
        work: Makes the coroutine.

    Raises:
        ConfigError: This is the background loop's own thread.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        if is_background_loop():
            raise ConfigError(
                "a blocking call from within a callback of a run would wait for itself: call its async twin from "
                "another task, or call it when the run has paused"
            )
        self._ended = threading.Event()
        self._future = asyncio.run_coroutine_threadsafe(self._watched(work), _running_loop())

    async def _watched(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        try:
            return await work()
        finally:
            self._ended.set()

    def result(self) -> T:
        """Waits for it."""
        return self._future.result()

    def cancel(self) -> None:
        """Cancels it, and waits until it has let go of its thread and database; nothing when it has ended."""
        if self._future.cancel():  # a cancelled future counts as done at once
            self._ended.wait(_PATIENCE_S)


def run_in_background(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs a coroutine on the background loop and waits for it.

    Args:
        work: Makes the coroutine.

    Raises:
        ConfigError: This is the background loop's own thread.
        KeyboardInterrupt: The wait was interrupted; the coroutine has been cancelled and has ended.
    """
    background = BackgroundWork(work)
    try:
        return background.result()
    except KeyboardInterrupt:
        background.cancel()
        raise
