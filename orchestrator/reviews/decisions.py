"""Decisions: asking for them, recording and forgetting them, and stopping a run by one.

Invariants:
- A gate fails closed: without a decision that names its own review, continuing the run asks again.
- A decision reaches a gate from the store, where `OrchestratorClient.decide` records it from any process, or as the
  value of LangGraph's `Command(resume=…)`, as Studio sends it. Both are validated.
- After a human answers any review with *stop*, the thread asks no new question and starts no new model or tool call.
"""

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

from langgraph.errors import GraphInterrupt
from langgraph.store.base import BaseStore, GetOp, Item, PutOp, SearchOp

from orchestrator.concurrency import Bridge
from orchestrator.errors import DecisionError
from orchestrator.journal.journal import Journal
from orchestrator.journal.reading import read_kinds
from orchestrator.persistence.namespaces import namespace
from orchestrator.persistence.rows.inserts import InsertingStore
from orchestrator.persistence.rows.pages import delete_all
from orchestrator.reviews.answering.expiry import NEVER, Expiry
from orchestrator.reviews.answers import read_answer
from orchestrator.reviews.listeners import LISTENERS
from orchestrator.reviews.open_reviews import answered, close_review, forget_open_reviews
from orchestrator.reviews.parking import NO_PARKING, Parking
from orchestrator.reviews.resume_values import bind_bare_resume, receive
from orchestrator.reviews.review import Decision, Review, check_decision
from orchestrator.reviews.saved.decisions import (
    DECISIONS,
    RESUMED,
    is_resumed,
    parse_decision,
    recorded_decision,
    stop_key,
)

STOPPED = "stopped by a human"

_MOST_QUOTED = 200


async def ask(
    bridge: Bridge, store: BaseStore, review: Review, *, is_only: bool = False, expiry: Expiry = NEVER
) -> Decision:
    """Return the decision for this review; pause until there is one.

    Args:
        bridge: How to reach the store and the checkpointer.
        store: Holds the decisions.
        review: The review.
        is_only: True if the review has been shown and no other can be open, as at a gate.
        expiry: The rule for a review that nobody answers.

    Raises:
        GraphInterrupt: There is no valid decision yet. The run pauses and shows the review.
    """
    recorded = await recorded_decision(bridge, store, review)
    if recorded is None and await expire(bridge, store, review, expiry):
        recorded = await recorded_decision(bridge, store, review)
    if recorded is not None:
        await bind_bare_resume(bridge, review)
        return recorded
    problem = ""
    while True:
        try:
            answer = await receive(bridge, review, problem, is_only=is_only)
            decision = check_decision(review, read_answer(review, answer))
        except DecisionError as error:
            problem = str(error)
        else:
            return await _take_answer(bridge, store, review, decision)


async def expire(bridge: Bridge, store: BaseStore, review: Review, expiry: Expiry) -> bool:
    """Decide about a review whose time is over, as a rule says. Return True if that, or another answer, stands now.

    Args:
        bridge: Reaches the store.
        store: Holds the decisions.
        review: The review.
        expiry: The rule.
    """
    # Without a rule nothing is read.
    if expiry.seconds(review) is None or (asked := await asked_at(bridge, store, review)) is None:
        return False
    if (decision := expiry.decision(review, asked)) is None:
        return False
    with contextlib.suppress(DecisionError):  # a human has answered at the last moment, and that answer stands
        await record_decision(bridge, store, review, decision)
    return True


async def asked_at(bridge: Bridge, store: BaseStore, review: Review) -> datetime | None:
    """Return the time at which a review was asked first; None if the journal does not tell."""
    told = await read_kinds(bridge, store, review.thread_id, ("review_asked",), ())
    return next((each.at for each in told if each.data.get("id") == review.id), None)


async def _take_answer(bridge: Bridge, store: BaseStore, review: Review, decision: Decision) -> Decision:
    """Record what a client resumed with, and return the decision that stands.

    A decision that was recorded meanwhile stands. An answer that came in this way before does not: it belongs to
    another branch of the thread's history, and time travel asks the question again.
    """
    op, journal = _row_op(review, decision, **RESUMED), Journal(store, review.thread_id)
    standing = await journal.insert(bridge, op, answered(review, decision))
    # Rows with the mark leave a review open for everybody else, and nothing asks this one again.
    await close_review(bridge, store, review)
    if standing is not None and is_resumed(standing):
        await journal.write(bridge, [op], answered(review, decision))
    elif standing is not None:
        return parse_decision(review, standing.value)
    return decision


def _row_op(review: Review, decision: Decision, key: str = "", **marks: str) -> PutOp:
    value = decision.model_dump(mode="json", exclude_defaults=True) | marks
    return PutOp(namespace(review.thread_id, DECISIONS), key or review.id, value, index=False)


async def standing_decision(bridge: Bridge, store: BaseStore, review: Review) -> Decision | None:
    """Return the decision for this review, or a stop if another review of the run was answered with one."""
    if (recorded := await recorded_decision(bridge, store, review)) is not None:
        return recorded
    is_over = await is_stopped(bridge, store, review.thread_id)
    return Decision(review_id=review.id, action="stop") if is_over else None


async def answered_among(bridge: Bridge, store: BaseStore, reviews: Sequence[Review]) -> set[str]:
    """Return the ids of the reviews, all of one thread, that a decision or a stop of the run answers."""
    if not reviews:
        return set()
    place = namespace(reviews[0].thread_id, DECISIONS)
    stops = SearchOp(place, filter={"action": "stop"}, limit=1)
    stopped, *rows = cast(list[Any], await bridge.batch(store, [stops, *(GetOp(place, r.id) for r in reviews)]))
    return {r.id for r, row in zip(reviews, rows, strict=True) if stopped or (row is not None and not is_resumed(row))}


async def record_decision(bridge: Bridge, store: BaseStore, review: Review, decision: Decision) -> None:
    """Validate a decision and record it durably, for the run to read when it is resumed.

    Raises:
        DecisionError: The decision does not answer the review, or the review has another decision already.
    """
    check_decision(review, decision)
    op = _row_op(review, decision)
    standing = await Journal(store, review.thread_id).insert(bridge, op, answered(review, decision))
    if standing is not None:
        if not _is_same(decision, standing.value):
            raise _AnsweredError(review, standing)
        # A row with the mark counts for no other node. Written again without it, the decision holds for all.
        if is_resumed(standing):
            await bridge.batch(store, [op])
    if not isinstance(store, InsertingStore):
        await _guard_stop(bridge, store, review, decision)
    LISTENERS.tell(review.thread_id)


async def _guard_stop(bridge: Bridge, store: BaseStore, review: Review, decision: Decision) -> None:
    """Keep a stop where another process may overwrite it: a foreign store cannot look and write at once.

    Raises:
        DecisionError: The review was answered with a stop meanwhile.
    """
    if decision.action == "stop":
        await bridge.batch(store, [_row_op(review, decision, stop_key(review))])
        return
    place = namespace(review.thread_id, DECISIONS)
    stop = cast(Any, (await bridge.batch(store, [GetOp(place, stop_key(review))]))[0])
    if stop is not None:
        raise _AnsweredError(review, stop)


def _is_same(decision: Decision, value: object) -> bool:
    if not isinstance(value, dict):
        return False
    standing = {name: part for name, part in value.items() if name in ("action", "text", "data")}
    return standing == decision.model_dump(mode="json", exclude_defaults=True, exclude={"review_id", "by"})


class _AnsweredError(DecisionError):
    """A review that has a decision already."""

    def __init__(self, review: Review, standing: Item) -> None:
        before, when = parse_decision(review, standing.value), standing.updated_at
        when = when.astimezone(UTC) if when.tzinfo else when  # SQLite's own clock is UTC and does not say so
        who = f" by {before.by}" if before.by else ""
        why = f": {before.text[:_MOST_QUOTED]}" if before.text else ""
        super().__init__(
            f"review {review.id} has already been answered with '{before.action}' at {when:%Y-%m-%d %H:%M:%S} UTC"
            f"{who}{why}"
        )


async def forget_decisions(bridge: Bridge, store: BaseStore, thread_id: str) -> None:
    """Delete the decisions of a thread, since a question of the next task may have the id of an answered one."""
    await delete_all(bridge, store, namespace(thread_id, DECISIONS))
    await forget_open_reviews(bridge, store, thread_id)


async def is_stopped(bridge: Bridge, store: BaseStore, thread_id: str) -> bool:
    """True if a human has answered any review of the thread's run with stop."""
    # The recorded decision counts, not the node at whose review it was given: that node may be over or killed.
    stops = SearchOp(namespace(thread_id, DECISIONS), filter={"action": "stop"}, limit=1)
    return bool((await bridge.batch(store, [stops]))[0])


async def ask_unless_stopped(
    bridge: Bridge,
    store: BaseStore,
    review: Review,
    parking: Parking = NO_PARKING,
    *,
    expiry: Expiry | None = None,
) -> Decision:
    """Return the decision for this review like `ask`; return a stop for an open review of a run that is stopped.

    Args:
        bridge: Reaches the store.
        store: Holds the decisions.
        review: The review.
        parking: Waits for the decision while other work of the run goes on.
        expiry: The rule for a review that nobody answers; None for that of `parking`.

    Raises:
        GraphInterrupt: There is no valid decision yet. The run pauses and shows the review.
    """
    while True:
        is_open = await recorded_decision(bridge, store, review) is None
        if is_open and await is_stopped(bridge, store, review.thread_id):
            return Decision(review_id=review.id, action="stop")
        try:
            # Before parking: the node may run again because of a resume value, which `interrupt()` returns at once.
            decision = await ask(bridge, store, review, expiry=expiry or parking.expiry)
        except GraphInterrupt:
            if await parking.park(review):
                continue
            raise
        # A resume value reaches this node only. Recorded, the stop holds for every other node of the thread.
        if is_open and decision.action == "stop":
            await record_decision(bridge, store, review, decision)
        return decision
