"""One background event loop a process, on which the blocking calls of the Python interface run.

It makes `run()` work where a loop is running already (a notebook), keeps HTTP connections alive between calls (they
belong to the loop that opened them), and lets Ctrl-C cancel a run cleanly instead of waiting for its threads.
"""

import asyncio
import atexit
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

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


def run_in_background(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs a coroutine on the background loop and waits for it.

    Args:
        work: Makes the coroutine.

    Raises:
        KeyboardInterrupt: The wait was interrupted; the coroutine has been cancelled and has ended.
    """
    ended = threading.Event()

    async def watched() -> T:
        try:
            return await work()
        finally:
            ended.set()

    future = asyncio.run_coroutine_threadsafe(watched(), _running_loop())
    try:
        return future.result()
    except KeyboardInterrupt:
        future.cancel()
        # A cancelled future counts as done at once; what it ran has still to let go of its thread and database.
        ended.wait(_PATIENCE_S)
        raise
