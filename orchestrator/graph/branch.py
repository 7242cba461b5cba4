"""Branch: one worker node of a round, with its slot, while it works and while it waits for a human.

A node that needs a human waits here as long as something else of the round works, and goes on the moment that the
answer is there, from whichever process. It pauses the run only when nothing works any more.

Under `graph.invoke` every node has a thread of LangGraph's pool, and waiting nodes would use the pool up. With
`max_concurrency` they would keep other nodes from starting. In both cases a question pauses its node at once.
"""

import contextlib
import time
from collections.abc import AsyncIterator, Iterator

from orchestrator.concurrency import BLOCKING
from orchestrator.graph.invocation import Invocation
from orchestrator.graph.recording import Recorder
from orchestrator.graph.round import Idle, Round
from orchestrator.reviews.parking import Parking
from orchestrator.reviews.review import Review


class Branch(Parking):
    """The place of one worker node in its round.

    Args:
        round: The round.
        rank: The node's rank among those that wait for a slot.
        invocation: The node's execution.
        recorder: Reports that the sub-task waits, and leaves the wait out of its time.
        awaits: True if the round must not end before its reviews are answered.
    """

    def __init__(
        self, round: Round, rank: int, invocation: Invocation, recorder: Recorder, *, awaits: bool = False
    ) -> None:
        self._round = round
        self._rank = rank
        self._awaits = awaits
        self._invocation = invocation
        self._recorder = recorder
        self._can_park = invocation.bridge is not BLOCKING and not invocation.config.get("max_concurrency")
        self._calls = 0
        self._parked = 0
        self._wants_slot = False
        self._has_slot = False
        self._slot_lock = invocation.bridge.lock()

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one of the slots for parallel workers inside the block, except while the whole node waits."""
        self._wants_slot = True
        await self._take_slot()
        try:
            yield
        finally:
            self._wants_slot = False
            self._free_slot()

    async def _take_slot(self) -> None:
        # Two calls of the node may get their answers at once, and the node has one slot.
        async with self._slot_lock:
            if self._wants_slot and not self._has_slot:
                await self._round.acquire_slot(self._invocation.bridge, self._rank)
                self._has_slot = True

    def _free_slot(self) -> None:
        if self._has_slot:
            self._has_slot = False
            self._round.release_slot()

    @contextlib.contextmanager
    def call(self) -> Iterator[None]:
        """Count a tool call of the node in for the length of the block. The first one stands for the node itself."""
        if not self._can_park:
            yield
            return
        if self._calls:
            self._round.begin_work()
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1
            if self._calls:
                self._round.end_work()
                self._free_if_parked()

    async def park(self, review: Review) -> bool:
        """Wait for a decision while another branch works, without a slot."""
        if not self._can_park:
            return False
        # LangGraph 1.2 starts all nodes of a super-step in one turn of the loop. After it, the others have entered.
        await self._invocation.bridge.sleep(0)
        if self._round.working > 1:
            await self._invocation.announce(review)
        # The result is durable, so another super-step can ask for it. The steps of an agent belong to this one.
        idle = Idle(self._invocation.bridge.waiter(), is_durable=review.kind == "result" and not self._awaits)
        began = time.monotonic()
        self._parked += 1
        try:
            # No `await` before `park`: a decision that wakes what is not parked yet would be counted twice.
            with self._invocation.watch.watching(review, lambda: self._round.unpark(idle)):
                self._free_if_parked()
                self._round.park(idle)
                is_answered = await self._round.wait_parked(idle)
        finally:
            self._parked -= 1
        if is_answered:
            await self._take_slot()
            self._recorder.resume(time.monotonic() - began, is_running=self._wants_slot)
        return is_answered

    def _free_if_parked(self) -> None:
        """Give the slot back when all that the node does is wait."""
        if self._parked >= max(1, self._calls):
            self._free_slot()
            self._recorder.report("waiting")
