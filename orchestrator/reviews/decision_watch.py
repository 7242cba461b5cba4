"""DecisionWatch: notices decisions that any process records on a thread, while something waits for them.

A decision of this process wakes at once. Decisions of other processes are found in the store, which is read twice a
second, once for everything that waits here. Nothing is read while nothing waits. For event loops only.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime

from langgraph.store.base import BaseStore

from orchestrator.concurrency import AWAITING
from orchestrator.reviews.answering.expiry import NEVER, Expiry
from orchestrator.reviews.decisions import answered_among, asked_at, expire
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
        self._waiting: list[tuple[Review, Callable[[], object], Expiry]] = []
        self._asked: dict[str, datetime] = {}
        self._poller: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def watching(self, review: Review, wake: Callable[[], object], expiry: Expiry = NEVER) -> Iterator[None]:
        """Call a function, inside the block, once the review is answered or the run is stopped.

        The function is also called when the store cannot be read: whoever waits then meets the error.

        Args:
            review: The review.
            wake: The function.
            expiry: The rule for a review that nobody answers.
        """
        entry = (review, wake, expiry)
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
            for review, _, expiry in waiting:
                await self._expire(review, expiry)
            answered = await answered_among(AWAITING, self._store, [review for review, *_ in waiting])
        except Exception:  # noqa: BLE001 - those that wait read the store themselves, and raise its error
            for _, wake, _ in waiting:
                wake()
            return False
        for review, wake, _ in waiting:
            if review.id in answered:
                wake()
        return True

    async def _expire(self, review: Review, expiry: Expiry) -> None:
        if expiry.seconds(review) is None:
            return
        # The journal is read for it once, and not at each look.
        asked = self._asked.get(review.id) or await asked_at(AWAITING, self._store, review)
        if asked is not None:
            self._asked[review.id] = asked
            if expiry.decision(review, asked) is not None:
                await expire(AWAITING, self._store, review, expiry)

    async def answered(self, review: Review) -> None:
        """Return once the review is answered, or the run is stopped."""
        done = asyncio.Event()
        with self.watching(review, done.set):
            await done.wait()
