"""Streams: a run as an iterator over its events, whose last item is the `Run`.

A stream that is closed before its end cancels its run, and returns when the run has let go of its thread.
"""

import asyncio
import queue
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import Any

from orchestrator.background import BackgroundWork
from orchestrator.events import Event
from orchestrator.logs import logger
from orchestrator.runs.run import Run

Start = Callable[[Callable[[Event], None]], Coroutine[Any, Any, Run]]
"""Starts a run with a function that takes its events."""

_CHECK_S = 1.0
_log = logger(__name__)


def stream_run(start: Start) -> Generator[Event | Run, None, None]:
    """Run on the background loop, and yield the events as they come.

    Args:
        start: Starts the run.
    """
    items: queue.SimpleQueue[Event | None] = queue.SimpleQueue()

    async def work() -> Run:
        try:
            return await start(items.put)
        finally:
            items.put(None)

    background = BackgroundWork(work)
    try:
        while (item := _next(items, background)) is not None:
            yield item
        yield background.result()
    finally:
        background.cancel()


def _next(items: "queue.SimpleQueue[Event | None]", background: BackgroundWork[Run]) -> Event | None:
    """Return the next event; None at the end, also where the loop has died and puts nothing any more."""
    while True:
        try:
            return items.get(timeout=_CHECK_S)
        except queue.Empty:
            if background.is_lost:
                return None


async def astream_run(start: Start) -> AsyncGenerator[Event | Run, None]:
    """Run on the caller's event loop, and yield the events as they come.

    Args:
        start: Starts the run.
    """
    items: asyncio.Queue[Event | None] = asyncio.Queue()
    running = asyncio.ensure_future(start(items.put_nowait))
    running.add_done_callback(lambda _: items.put_nowait(None))
    try:
        while (item := await items.get()) is not None:
            yield item
        yield await running
    finally:
        running.cancel()
        await asyncio.wait([running])  # until it has let go of its thread and database
        if not running.cancelled() and (error := running.exception()) is not None:
            # The reader gets it above, unless the reader has gone.
            _log.info("the run of a stream ended with %r", error)


class Streams:
    """The part of `TaskOrchestrator` that runs tasks as iterators over their events."""

    arun: Callable[..., Coroutine[Any, Any, Run]]
    aresume: Callable[..., Coroutine[Any, Any, Run]]

    def stream(self, original_task: str, **options: Any) -> Generator[Event | Run, None, None]:
        """Run a task and yield its events as they come. The last item is the `Run`.

        If the caller stops reading before the end, the run is cancelled. The thread can then be resumed.

        Args:
            original_task: The task.
            options: As for `run`, without `on_event`.
        """
        return stream_run(lambda take: self.arun(original_task, on_event=take, **options))

    def astream(self, original_task: str, **options: Any) -> AsyncGenerator[Event | Run, None]:
        """Async twin of `stream`."""
        return astream_run(lambda take: self.arun(original_task, on_event=take, **options))

    def stream_resume(self, thread_id: str, **options: Any) -> Generator[Event | Run, None, None]:
        """Continue a thread as `resume` does, and yield its events as `stream` does.

        Args:
            thread_id: The thread.
            options: As for `resume`, without `on_event`.
        """
        return stream_run(lambda take: self.aresume(thread_id, on_event=take, **options))

    def astream_resume(self, thread_id: str, **options: Any) -> AsyncGenerator[Event | Run, None]:
        """Async twin of `stream_resume`."""
        return astream_run(lambda take: self.aresume(thread_id, on_event=take, **options))
