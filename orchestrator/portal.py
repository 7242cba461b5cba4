"""One background event loop a process, on which the blocking calls of the Python interface run.

It makes `run()` work where a loop is running already (a notebook), keeps HTTP connections alive between calls (they
belong to the loop that opened them), and lets Ctrl-C cancel a run cleanly instead of waiting for its threads.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def _running_loop() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        if _loop is None or _loop.is_closed():
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="orchestrator-loop", daemon=True).start()
        return _loop


def run_in_background(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs a coroutine on the background loop and waits for it.

    Args:
        work: Makes the coroutine.

    Raises:
        KeyboardInterrupt: The wait was interrupted; the coroutine has been cancelled and has ended.
    """
    future = asyncio.run_coroutine_threadsafe(work(), _running_loop())
    try:
        return future.result()
    except KeyboardInterrupt:
        _cancel(future)
        raise


def _cancel(future: Any) -> None:
    """Cancels, and waits until the coroutine has let go of its thread."""
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    future.cancel()
    done.wait(5)
