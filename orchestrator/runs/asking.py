"""Asking: a run's reviews, asked on the spot, one at a time, while the run goes on.

Invariants:
- A question never outlives its review. When another process or another caller answers, the run goes on with that
  answer, and the answer that comes later here is ignored.
- A review that the person leaves open is asked again only when the run pauses anew.
"""

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Protocol, runtime_checkable

from langgraph.store.base import BaseStore

from orchestrator.background import is_background_loop
from orchestrator.concurrency import AWAITING
from orchestrator.daemon_threads import in_own_thread
from orchestrator.errors import DecisionError
from orchestrator.events import Event, ReviewAsked
from orchestrator.logs import logger
from orchestrator.planning.sub_task import SubTask
from orchestrator.reviews.decision_watch import DecisionWatch
from orchestrator.reviews.decisions import record_decision, standing_decision
from orchestrator.reviews.review import Decision, Review
from orchestrator.reviews.saved.decisions import recorded_decision
from orchestrator.runs.callbacks import guarded, guarded_result
from orchestrator.runs.interventions.interventions import user_name
from orchestrator.runs.thread_states import ThreadStates

Ask = Callable[[Review], Awaitable[Decision | None]]
_log = logger(__name__)
_PATIENCE_S = 2.0


@runtime_checkable
class Informed(Protocol):
    """An `on_review` that is told when its question needs no answer any more."""

    def answered_elsewhere(self, review: Review, decision: Decision) -> None:
        """Give the question up. Called on the event loop's thread, while the question waits on another one.

        Args:
            review: The review that is being asked.
            decision: The decision that stands.
        """


class Asking:
    """The questions of one run to the person who started it.

    Args:
        store: Holds the decisions.
        thread_id: The thread.
        ask: Asks a person; None where nobody is there.
        is_early: Ask while the run goes on. Otherwise the questions wait until the run pauses.
        on_review: The caller's function, which is told of answers from elsewhere if it is `Informed`.
    """

    def __init__(self, store: BaseStore, thread_id: str, ask: Ask | None, *, is_early: bool, on_review: Any) -> None:
        self._store = store
        self._ask = ask
        self._is_early = is_early
        self._on_review = on_review
        self._watch = DecisionWatch(store, thread_id)
        self._announced: set[str] = set()
        self._left_open: set[str] = set()
        self._pending: dict[str, Review] = {}
        self._serving: asyncio.Task[None] | None = None

    def hearing(self, on_event: Callable[[Event], None] | None) -> Callable[[Event], None] | None:
        """Return a callback that hears of reviews and passes events on; None if nothing needs the events."""
        if on_event is None and (self._ask is None or not self._is_early):
            return None

        def hear(event: Event) -> None:
            if isinstance(event, ReviewAsked):
                if not self.is_news(event.review):
                    return
                if self._is_early:
                    self._put(event.review)
            if on_event is not None:
                on_event(event)

        return hear

    def is_news(self, review: Review) -> bool:
        """True at the first time that a review is announced."""
        is_news = review.id not in self._announced
        self._announced.add(review.id)
        return is_news

    def _put(self, review: Review) -> None:
        if self._ask is None or review.id in self._pending:
            return
        self._pending[review.id] = review
        if self._serving is None or (self._serving.done() and self._serving.exception() is None):
            self._serving = asyncio.get_running_loop().create_task(self._serve(self._ask))

    async def settle(self, reviews: Sequence[Review]) -> bool:
        """Ask the reviews of a paused run. True once one of them has a decision, from here or from elsewhere.

        Raises:
            CallbackError: The caller's function ended the wrong way, now or while the run went on.
            DecisionError: Its decision does not answer the review.
        """
        for review in reviews:
            if review.id not in self._left_open:
                self._put(review)
        if (serving := self._serving) is not None:
            if self._is_early:
                await self._first_answer(reviews, serving)
            else:  # the questions hold up the loop itself, so nothing can go on beside them
                await asyncio.wait({serving})
            if serving.done():
                serving.result()
        self._left_open.clear()
        for review in reviews:
            if await recorded_decision(AWAITING, self._store, review) is not None:
                return True
        return False

    async def _first_answer(self, reviews: Sequence[Review], serving: asyncio.Task[None]) -> None:
        """Wait until one of the reviews is answered, or nothing is asked any more."""
        answered = asyncio.Event()
        waiting = asyncio.ensure_future(answered.wait())
        with contextlib.ExitStack() as stack:
            for review in reviews:
                stack.enter_context(self._watch.watching(review, answered.set))
            try:
                await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()

    async def _serve(self, ask: Ask) -> None:
        while self._pending:
            review = next(iter(self._pending.values()))
            try:
                if await standing_decision(AWAITING, self._store, review) is None:
                    await self._ask_one(ask, review)
            finally:
                del self._pending[review.id]

    async def _ask_one(self, ask: Ask, review: Review) -> None:
        """Ask a person, and give the question up if the review is answered elsewhere meanwhile."""
        person = asyncio.ensure_future(ask(review))
        try:
            while not person.done():
                elsewhere = asyncio.ensure_future(self._watch.answered(review))
                try:
                    await asyncio.wait({person, elsewhere}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    elsewhere.cancel()
                if not person.done() and (decision := await standing_decision(AWAITING, self._store, review)):
                    await self._give_up(review, decision, person)
                    return
            await self._record(review, person.result())
        except asyncio.CancelledError:
            person.cancel()
            raise

    async def _record(self, review: Review, decision: Decision | None) -> None:
        if decision is None:
            self._left_open.add(review.id)
            return
        if not decision.by:
            decision = decision.model_copy(update={"by": user_name()})
        try:
            await record_decision(AWAITING, self._store, review, decision)
        except DecisionError:
            # Somebody else may have answered while this person thought. Then that answer stands.
            if await recorded_decision(AWAITING, self._store, review) is None:
                raise

    async def _give_up(self, review: Review, decision: Decision, person: "asyncio.Future[Decision | None]") -> None:
        if isinstance(self._on_review, Informed):
            self._on_review.answered_elsewhere(review, decision)
            await asyncio.wait({person}, timeout=_PATIENCE_S)  # so that the next question finds the terminal free
        if is_async(self._on_review):
            person.cancel()
        person.add_done_callback(lambda late: _ignore(review, late))

    async def close(self) -> None:
        """Stop asking at the end of the run. A question that was answered elsewhere just now is given up first."""
        if self._serving is not None:
            await asyncio.wait({self._serving}, timeout=_PATIENCE_S)
            self.cancel()

    def cancel(self) -> None:
        """Stop asking at once."""
        if self._serving is None or self._serving.cancel() or self._serving.cancelled():
            return
        if (error := self._serving.exception()) is not None:
            _log.warning("on_review failed while the run went on: %s", error)


async def ask_person(
    states: ThreadStates,
    thread_id: str,
    on_review: Callable[[Review], Any] | None,
    request_human_review: Callable[[SubTask, str, Review], Decision | None],
    review: Review,
) -> Decision | None:
    """Ask a review by the caller's function, or the review of a result by the orchestrator's method.

    Args:
        states: The threads.
        thread_id: The thread.
        on_review: The caller's function; None without one.
        request_human_review: The orchestrator's method.
        review: The review.
    """
    ask: Callable[[], Decision | Awaitable[Decision | None] | None]
    if (guarded_review := guarded("on_review", on_review)) is not None:
        ask = partial(guarded_review, review)
    else:
        plan = (await states.run_of(thread_id)).plan
        if review.kind != "result" or plan is None or review.sub_task_id not in plan:
            return None
        ask = partial(request_human_review, plan[review.sub_task_id], review.subject["result"], review)
    # The background loop serves every run of the process; while a person thinks, the others go on.
    is_blocking = is_background_loop() and not is_async(on_review)
    answer = await in_own_thread(ask, name="orchestrator-review") if is_blocking else ask()
    return await guarded_result("on_review", answer) if isinstance(answer, Awaitable) else answer


def is_async(function: object) -> bool:
    """True for a coroutine function, and for an object that is called like one."""
    return any(map(inspect.iscoroutinefunction, (function, getattr(type(function), "__call__", None))))  # noqa: B004


def _ignore(review: Review, late: "asyncio.Future[Decision | None]") -> None:
    """Log an answer that came after the review had been answered elsewhere."""
    if late.cancelled():
        return
    if (error := late.exception()) is not None:
        _log.warning("review %s was answered elsewhere, and on_review failed on it: %s", review.id, error)
    elif (decision := late.result()) is not None:
        _log.info("the answer '%s' to %s is ignored: it was answered elsewhere before", decision.action, review.id)
