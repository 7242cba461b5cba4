"""DecisionWatch: notices decisions that any process records on a thread, while something waits for them.

A decision of this process wakes at once. Decisions of other processes are found in the store, which is read twice a
second, once for everything that waits here. Nothing is read while nothing waits. For event loops only.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from langgraph.store.base import BaseStore

from orchestrator.concurrency import AWAITING
from orchestrator.reviews.decisions import answered_among
from orchestrator.reviews.listeners import LISTENERS
from orchestrator.reviews.review import Review

POLL_S = 0.5


class DecisionWatch:
    """The reviews of one thread that something waits for.

    Args:
        store: Holds the decisions.
        thread_id: The thread.
    """

    def __init__(self, store: BaseStore, thread_id: str) -> None:
        self._store = store
        self._thread_id = thread_id
        self._waiting: list[tuple[Review, Callable[[], object]]] = []
        self._poller: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def watching(self, review: Review, wake: Callable[[], object]) -> Iterator[None]:
        """Call a function, inside the block, once the review is answered or the run is stopped.

        The function is also called when the store cannot be read: whoever waits then meets the error.
        """
        entry = (review, wake)
        self._waiting.append(entry)
        if self._poller is None or self._poller.done():
            self._poller = asyncio.get_running_loop().create_task(self._poll())
        try:
            yield
        finally:
            self._waiting.remove(entry)
            if not self._waiting and self._poller is not None:
                self._poller.cancel()
                self._poller = None

    async def _poll(self) -> None:
        told, loop = asyncio.Event(), asyncio.get_running_loop()
        with LISTENERS.listening(self._thread_id, lambda: loop.call_soon_threadsafe(told.set)):
            # Read before the first wait: a decision may have come since the caller looked.
            while await self._wake_answered():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(told.wait(), POLL_S)
                told.clear()

    async def _wake_answered(self) -> bool:
        """Wake those whose review is answered. Return False when the store failed, and everybody was woken."""
        waiting = list(self._waiting)
        try:
            answered = await answered_among(AWAITING, self._store, [review for review, _ in waiting])
        except Exception:  # noqa: BLE001 - those that wait read the store themselves, and raise its error
            for _, wake in waiting:
                wake()
            return False
        for review, wake in waiting:
            if review.id in answered:
                wake()
        return True

    async def answered(self, review: Review) -> None:
        """Return once the review is answered, or the run is stopped."""
        done = asyncio.Event()
        with self.watching(review, done.set):
            await done.wait()
