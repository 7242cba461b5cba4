"""The background loop: one event loop of the process, on which the blocking methods of the Python interface run.

With it, `run()` works where a loop is running already, as in a notebook. HTTP connections belong to the loop that made
them, so they stay open between calls. And Ctrl-C can cancel a coroutine, while it could only wait for threads.

Invariants:
- The loop outlives its tasks. `SystemExit` and `loop.stop()` leave `run_forever`, which is then entered again.
- No caller waits for a loop whose thread is dead. A forked child gets a loop of its own.
"""

import asyncio
import atexit
import contextlib
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from orchestrator.daemon_threads import OwnThreads, as_exception
from orchestrator.errors import ConfigError, OrchestratorError
from orchestrator.forks import after_fork, keep_for_ever
from orchestrator.logs import logger

_PATIENCE_S = 5.0
_SHUT_DOWN_S = 1.0
_CHECK_S = 1.0

T = TypeVar("T")
_log = logger(__name__)


class LoopLostError(OrchestratorError):
    """The background loop ended while a call waited for it. The thread's run can be resumed."""


class _BackgroundLoop:
    """An event loop and the daemon thread that serves it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        # LangChain sends blocking models and tools to the default executor, whose few threads one hung call blocks.
        self.loop.set_default_executor(OwnThreads())
        self._pid = os.getpid()
        self._is_ending = False
        self._thread = threading.Thread(target=self._serve, name="orchestrator-loop", daemon=True)
        self._thread.start()
        atexit.register(self._shut_down)

    @property
    def is_alive(self) -> bool:
        """True while the loop's thread serves it."""
        return self._thread.is_alive() and not self.loop.is_closed()

    def _serve(self) -> None:
        while not self._is_ending:
            try:
                self.loop.run_forever()
            except BaseException as error:  # noqa: BLE001 - asyncio lets SystemExit and KeyboardInterrupt through
                _log.warning("a task on the background loop raised %r; the loop goes on", error)

    def _shut_down(self) -> None:
        """Close the loop's HTTP connections, which live in asynchronous generators, and then the loop."""
        if os.getpid() != self._pid or not self.is_alive:  # a forked child inherits the hook, and not the thread
            return
        # A task that blocks the loop must not hold up the end of the program.
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self.loop.shutdown_asyncgens(), self.loop).result(_SHUT_DOWN_S)
        self._is_ending = True
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_SHUT_DOWN_S)
        if not self._thread.is_alive():
            self.loop.close()


_lock = threading.Lock()
_background: _BackgroundLoop | None = None


def _running() -> _BackgroundLoop:
    global _background
    with _lock:
        if _background is None or not _background.is_alive:
            _background = _BackgroundLoop()
        return _background


def _forget() -> None:
    global _background, _lock
    keep_for_ever(_background)  # to collect a loop closes it, and its selector is shared with the parent
    _background, _lock = None, threading.Lock()


after_fork(_forget)


def is_background_loop() -> bool:
    """True on the background loop's own thread, where waiting for the loop would never end."""
    try:
        return _background is not None and asyncio.get_running_loop() is _background.loop
    except RuntimeError:
        return False


class BackgroundWork(Generic[T]):
    """A coroutine on the background loop.

    Args:
        work: Makes the coroutine.

    Raises:
        ConfigError: The caller is on the background loop's own thread.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        if is_background_loop():
            raise ConfigError(
                "a blocking call from within a callback of a run would wait for itself: call its async twin from "
                "another task, or call it when the run has paused"
            )
        self._ended = threading.Event()
        self._background = _running()
        self._future = asyncio.run_coroutine_threadsafe(self._watched(work), self._background.loop)

    async def _watched(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        _may_block()
        try:
            return await work()
        # asyncio raises the first two out of `run_forever` as well, which serves all runs of the process.
        except (SystemExit, KeyboardInterrupt, GeneratorExit) as error:
            raise as_exception(error) from error
        finally:
            self._ended.set()

    def result(self) -> T:
        """Wait for the coroutine and return its result.

        Raises:
            LoopLostError: The loop's thread died.
        """
        while True:
            try:
                # In short waits: a future whose loop has died is never settled.
                return self._future.result(_CHECK_S)
            except TimeoutError:
                if self._future.done():  # the coroutine's own
                    raise
            if self.is_lost:
                raise LoopLostError("the background event loop has ended; the run can be resumed")

    @property
    def is_lost(self) -> bool:
        """True if the loop's thread died before the coroutine ended."""
        return not self._background.is_alive and not self._future.done()

    def cancel(self, patience_s: float = _PATIENCE_S) -> None:
        """Cancel the coroutine, and wait until it has released its thread and database. Does nothing after its end.

        Args:
            patience_s: The most seconds to wait.
        """
        # A cancelled future is done at once, while the coroutine still runs its `finally` blocks on the loop. On the
        # loop itself, where the collector may close a stream that was dropped, nobody can wait for them.
        if self._future.cancel() and not is_background_loop():
            self._ended.wait(patience_s)


def _may_block() -> None:
    """Let this thread call what blocks, where `langgraph dev` watches every event loop of its process.

    Only runs of this package are on this loop, and they call SQLite directly. The server has a loop of its own.
    """
    # blockbuster 1.5 has this switch for each thread, and no public one.
    switch = getattr(sys.modules.get("blockbuster.blockbuster"), "_skip", None)
    if isinstance(switch, threading.local):
        switch.value = True


def run_in_background(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine on the background loop and return its result.

    Args:
        work: Makes the coroutine.

    Raises:
        ConfigError: The caller is on the background loop's own thread.
        KeyboardInterrupt: The wait was interrupted; the coroutine has been cancelled and has ended.
        LoopLostError: The loop's thread died.
    """
    background = BackgroundWork(work)
    try:
        return background.result()
    except KeyboardInterrupt:
        background.cancel()
        raise
