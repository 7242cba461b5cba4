"""Questions: what a graph has asked so far, in an order that is the same after every pause.

LangGraph matches the answers that a client resumes with to the interrupts of a node by their order. The graph itself
does not ask again what it was told. So the questions are noted in the shared memory, and asked again in their order.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from langgraph.errors import GraphInterrupt
from langgraph.types import Interrupt

from orchestrator.budget.spend import Spend
from orchestrator.concurrency import BLOCKING, Bridge
from orchestrator.memory.entry import Entry
from orchestrator.reviews.decisions import ask_unless_stopped, is_stopped
from orchestrator.reviews.review import Decision, Review
from orchestrator.reviews.saved.decisions import recorded_decision
from orchestrator.tool_calls.worker_context import WorkerContext


class Questions:
    """The questions of one graph.

    Args:
        bridge: How to reach the store.
        context: The surroundings of the attempt.
        key: Key of their note in the shared memory.
    """

    def __init__(self, bridge: Bridge, context: WorkerContext, key: str) -> None:
        self._bridge = bridge
        self._context = context
        self._key = key
        self._asked: dict[str, Review] = {}
        self._decided: dict[str, Decision] = {}
        self._pauses: dict[str, GraphInterrupt] = {}
        self.spent = Spend()
        self.is_noted = False

    async def load(self) -> None:
        """Read what the graph has asked and spent before it paused."""
        note = await self._context.memory.fetch(self._bridge, self._key)
        if note is not None and note.text:
            saved = json.loads(note.text)
            self._asked = {form["id"]: Review.model_validate(form) for form in saved["asked"]}
            self.spent = Spend.of_usage(saved["usage"])
            self.is_noted = True

    def remember(self, review: Review, decision: Decision) -> None:
        """Take over a question that was asked beside these, before the first of them."""
        self._asked[review.id] = review
        self._decided[review.id] = decision

    async def ask(self, reviews: Sequence[Review], spent: Spend) -> dict[str, Decision]:
        """Return the decisions of those of these reviews that have one.

        Args:
            reviews: All that are open now.
            spent: What the attempt has spent so far; it is kept over the pause.

        Raises:
            GraphInterrupt: None has a decision. The run pauses and shows all of them.
        """
        if new := [review for review in reviews if review.id not in self._asked]:
            self._asked |= {review.id: review for review in new}
            await self._note(spent)
        while True:
            decisions, waiting = {}, []
            for review in self._asked.values():
                # Asked once in an execution of the node: LangGraph hands out its next answer at each time.
                decision = self._decided.get(review.id) or await self._decision(review)
                if decision is not None:
                    decisions[review.id] = self._decided[review.id] = decision
                elif any(review.id == each.id for each in reviews):
                    waiting.append(review)
            if answered := {each.id: decisions[each.id] for each in reviews if each.id in decisions}:
                return answered
            if not await self._park(waiting):
                raise self._pause(waiting)

    async def _park(self, waiting: Sequence[Review]) -> bool:
        """Wait for the first decision while other work goes on; see `Parking.park`."""
        parking = self._context.oversight.parking
        if len(waiting) == 1 or self._bridge is BLOCKING:  # which never parks
            return await parking.park(waiting[0])

        async def parked(review: Review) -> bool:
            async with parking.call():
                return await parking.park(review)

        # The call that asks waits for one of them, so the others count as calls of their own.
        first, *others = waiting
        tasks = [asyncio.ensure_future(parked(review)) for review in others]
        tasks.append(asyncio.ensure_future(parking.park(first)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return any(task.result() for task in done)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _decision(self, review: Review) -> Decision | None:
        store = self._context.oversight.store
        if self._pauses:
            # One interrupt of a node can be answered at a time: those behind it are only looked up.
            if (recorded := await recorded_decision(self._bridge, store, review)) is not None:
                return recorded
            is_over = await is_stopped(self._bridge, store, review.thread_id)
            return Decision(review_id=review.id, action="stop") if is_over else None
        try:
            expiry = self._context.oversight.parking.expiry
            return await ask_unless_stopped(self._bridge, store, review, expiry=expiry)
        except GraphInterrupt as pause:
            # Not asked twice in one execution of the node: the second interrupt would have another id.
            self._pauses[review.id] = pause
            return None

    def _pause(self, waiting: Sequence[Review]) -> GraphInterrupt:
        interrupts: list[Any] = []
        for review in waiting:
            if review.id in self._pauses:
                interrupts += self._pauses[review.id].args[0]
            else:
                payload = review.model_dump(mode="json", exclude_defaults=True)
                interrupts.append(Interrupt(value=payload, id=f"question-{review.id}"))
        return GraphInterrupt(tuple(interrupts))

    async def _note(self, spent: Spend) -> None:
        self.is_noted = True
        asked = [review.model_dump(mode="json", exclude_defaults=True) for review in self._asked.values()]
        text = json.dumps({"asked": asked, "usage": spent.usage()})
        entry = Entry(key=self._key, text=text, status="note", agent=self._context.actor.agent)
        await self._context.memory.write(self._bridge, entry)
