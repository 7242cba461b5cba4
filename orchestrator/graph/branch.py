"""Branch: one worker node of a round, with its slot, while it works and while it waits for a human.

A node that needs a human waits here as long as something else of the round works, and goes on the moment that the
answer is there, from whichever process. It pauses the run only when nothing works any more.

Where a node cannot wait (see `Invocation.can_wait`), a question pauses it at once.
"""

import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial

from orchestrator.graph.invocation import Invocation
from orchestrator.graph.recording import Recorder
from orchestrator.graph.rework import Place, SupersededError
from orchestrator.graph.round import Idle, Round
from orchestrator.reviews.answering.expiry import NEVER, Expiry
from orchestrator.reviews.open_reviews import close_review
from orchestrator.reviews.parking import Parking
from orchestrator.reviews.review import Review


class Branch(Parking):
    """The place of one worker node in its round.

    Args:
        round: The round.
        rank: The node's rank among those that wait for a slot.
        invocation: The node's execution.
        recorder: Reports that the sub-task waits, and leaves the wait out of its time.
        place: The node's place in the round, with the version of its sub-task.
        expiry: The rule for questions that nobody answers.
    """

    def __init__(
        self,
        round: Round,
        rank: int,
        invocation: Invocation,
        recorder: Recorder,
        place: Place,
        expiry: Expiry = NEVER,
    ) -> None:
        self.expiry = expiry
        self._round = round
        self._rank = rank
        self._place = place
        self.version = place.version
        self._invocation = invocation
        self._recorder = recorder
        self._can_park = invocation.can_wait
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
            self.check_version()
            self._place.state = "working"
            yield
        finally:
            self._wants_slot = False
            self._free_slot()

    async def _take_slot(self) -> None:
        # Two calls of the node may get their answers at once, and the node has one slot.
        async with self._slot_lock:
            if self._wants_slot and not self._has_slot:
                on_wait = partial(self._recorder.waits, "slot")
                await self._round.acquire_slot(self._invocation.bridge, self._rank, on_wait)
                self._has_slot = True

    def _free_slot(self) -> None:
        if self._has_slot:
            self._has_slot = False
            self._round.release_slot()

    @contextlib.asynccontextmanager
    async def call(self) -> AsyncIterator[None]:
        """Count a tool call of the node in for the length of the block. The first one stands for the node itself.

        Raises:
            SupersededError: The call is of a version of the sub-task that another one has replaced.
        """
        self.check_version()
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
                self._free_if_parked()
                try:
                    # Before the work is counted out: a quiet round sends away the nodes that would do the rework.
                    await self._begin_rework()
                finally:
                    self._round.end_work()

    async def park(self, review: Review) -> bool:
        """Wait for a decision while another branch works, without a slot."""
        if not self._can_park:
            return False
        # LangGraph 1.2 starts all nodes of a super-step in one turn of the loop. After it, the others have entered.
        await self._invocation.bridge.sleep(0)
        if self._round.working > 1:
            await self._invocation.announce(review)
        idle = Idle(self._invocation.bridge.waiter())
        began = time.monotonic()
        self._parked += 1
        self._recorder.waits("human", [review.id])
        try:
            self.check_version()
            # No `await` before `park`: a decision that wakes what is not parked yet would be counted twice.
            wake = partial(self._round.unpark, idle)
            with self._invocation.watch.watching(review, wake, self.expiry), self._replaceable(idle):
                self._free_if_parked()
                self._round.begin_work()  # the round is not quiet before it is known what the wait lets begin
                self._round.park(idle)
                try:
                    await self._begin_rework()
                finally:
                    self._round.end_work()
                is_answered = await self._round.wait_parked(idle)
            self.check_version()
        except SupersededError:
            await close_review(self._invocation.bridge, self._invocation.store, review)  # nothing asks it any more
            raise
        finally:
            self._parked -= 1
        if is_answered:
            self._place.state = "working"
            await self._take_slot()
            self._recorder.resume(time.monotonic() - began, is_running=self._wants_slot)
        return is_answered

    @contextlib.contextmanager
    def _replaceable(self, idle: Idle) -> Iterator[None]:
        """Wake idle work, inside the block, once another version of the sub-task takes the place of this one."""
        wake = partial(self._round.unpark, idle)
        self._place.wakes.append(wake)
        try:
            yield
        finally:
            self._place.wakes.remove(wake)

    def check_version(self) -> None:
        """Go on with this version of the sub-task.

        Raises:
            SupersededError: Another version has taken its place.
        """
        if self._place.version != self.version:
            raise SupersededError

    async def leave_unfinished(self) -> None:
        """Let rework begin that waited for the verdict of this node, since the node pauses the run without one.

        Raises:
            SupersededError: The rework has replaced the version that pauses.
        """
        # A node that was parked has let the rework begin before. Now the nodes that would do it may have left.
        if self._can_park and self._place.state == "working":
            self._place.state = "asking"
            await self._begin_rework()
        self.check_version()

    async def _begin_rework(self) -> None:
        # A verdict of another reviewer may have waited for the one that this node now asks a human about.
        if self._place.reviews and self._round.reworks.next_rework() is not None:
            await self._round.begin_rework(self._invocation.bridge, self._invocation.emit)

    def _free_if_parked(self) -> None:
        """Give the slot back when all that the node does is wait."""
        if self._parked >= max(1, self._calls):
            if self._place.version == self.version:
                self._place.state = "asking"
            self._free_slot()
            self._recorder.report("waiting")
