"""Review: one question to a human. Decision: the answer to it, by the review's id.

Every gate fails closed: without an explicit decision for its own id, continuing the run asks again. Decisions reach
a gate in two ways: recorded in the store by `TaskOrchestrator.decide` from any process, or as the value of
LangGraph's `Command(resume=…)`, as Studio does it. Both are validated, and both must name the review.
"""

import json
from datetime import UTC
from typing import Any, cast

from langgraph.store.base import BaseStore, GetOp, Item, PutOp, SearchOp
from langgraph.types import interrupt
from pydantic import ValidationError

from orchestrator.concurrency import Bridge
from orchestrator.errors import DecisionError, PersistenceError
from orchestrator.persistence.inserts import InsertingStore, insert_if_absent
from orchestrator.persistence.namespaces import delete_all, namespace
from orchestrator.reviews.review import Decision, Review, check_decision

STOPPED = "stopped by a human"

_MOST_QUOTED = 200
_RESUMED = {"via": "resume"}  # marks a row whose decision came as LangGraph's resume value


async def ask(bridge: Bridge, store: BaseStore, review: Review) -> Decision:
    """The decision for this review, or a pause until there is one.

    Raises:
        GraphInterrupt: There is no valid decision yet; the run pauses and shows the review.
    """
    if (recorded := await recorded_decision(bridge, store, review)) is not None:
        return recorded
    problem = ""
    while True:
        payload = review.model_dump(mode="json", exclude_defaults=True)
        answer = interrupt(payload | ({"problem": problem} if problem else {}))
        try:
            decision = check_decision(review, _read_answer(answer, review))
        except DecisionError as error:
            problem = str(error)
        else:
            return await _take_answer(bridge, store, review, decision)


def _read_answer(answer: object, review: Review) -> Decision:
    """A decision from what a client resumed with: an object, the same as JSON text, or a map by review id."""
    if isinstance(answer, Decision):
        return answer
    if isinstance(answer, str):
        try:
            answer = json.loads(answer)
        except ValueError:
            answer = None
    if isinstance(answer, dict) and isinstance(answer.get(review.id), dict):
        answer = {"review_id": review.id, **answer[review.id]}
    try:
        return Decision.model_validate(answer)
    except ValidationError:
        raise DecisionError(
            f'answer with an object such as {{"review_id": "{review.id}", "action": "{review.allowed[0]}"}}'
        ) from None


async def _take_answer(bridge: Bridge, store: BaseStore, review: Review, decision: Decision) -> Decision:
    """Record what a client resumed with, and return the decision that stands.

    A decision that was recorded meanwhile stands. An answer that came in this way before does not: it belongs to
    another branch of the thread's history, and time travel asks the question again.
    """
    op = _row_op(review, decision, **_RESUMED)
    standing = await insert_if_absent(bridge, store, op)
    if standing is not None and _is_resumed(standing):
        await bridge.batch(store, [op])
    elif standing is not None:
        return _parse(review, standing.value)
    return decision


def _row_op(review: Review, decision: Decision, key: str = "", **more: str) -> PutOp:
    value = decision.model_dump(mode="json", exclude_defaults=True) | more
    return PutOp(namespace(review.thread_id, "decisions"), key or review.id, value)


def _is_resumed(row: Item) -> bool:
    return isinstance(row.value, dict) and row.value.get("via") == _RESUMED["via"]


def _parse(review: Review, value: object) -> Decision:
    """Read a row.

    Raises:
        PersistenceError: It is no decision.
    """
    known = {n: part for n, part in value.items() if n in Decision.model_fields} if isinstance(value, dict) else value
    try:
        decision = Decision.model_validate(known)
    except ValidationError as error:
        raise PersistenceError(
            f"the decision of review {review.id} cannot be read ({error.error_count()} fields are wrong): "
            "it was written by another program or version"
        ) from error
    return check_decision(review, decision)


async def recorded_decision(bridge: Bridge, store: BaseStore, review: Review) -> Decision | None:
    """The decision that was recorded for this review, if one was."""
    place = namespace(review.thread_id, "decisions")
    keys = (review.id, _stop_key(review))
    decided, stopped = cast(list[Any], await bridge.batch(store, [GetOp(place, key) for key in keys]))
    standing = stopped or decided
    if standing is None or _is_resumed(standing):
        return None
    return _parse(review, standing.value)


async def record_decision(bridge: Bridge, store: BaseStore, review: Review, decision: Decision) -> None:
    """Validates a decision and makes it durable; the run takes it up when it is resumed.

    Raises:
        DecisionError: See `check_decision`; or the review has another decision already.
    """
    check_decision(review, decision)
    op = _row_op(review, decision)
    standing = await insert_if_absent(bridge, store, op)
    if standing is not None:
        if not _is_same(decision, standing.value):
            raise _AnsweredError(review, standing)
        if _is_resumed(standing):
            await bridge.batch(store, [op])
    if not isinstance(store, InsertingStore):
        await _guard_stop(bridge, store, review, decision)


async def _guard_stop(bridge: Bridge, store: BaseStore, review: Review, decision: Decision) -> None:
    """Keep a stop where another process may overwrite it: a foreign store cannot look and write at once.

    Raises:
        DecisionError: The review was answered with a stop meanwhile.
    """
    if decision.action == "stop":
        await bridge.batch(store, [_row_op(review, decision, _stop_key(review))])
        return
    place = namespace(review.thread_id, "decisions")
    stop = cast(Any, (await bridge.batch(store, [GetOp(place, _stop_key(review))]))[0])
    if stop is not None:
        raise _AnsweredError(review, stop)


def _stop_key(review: Review) -> str:
    return f"{review.id}#stop"


def _is_same(decision: Decision, value: object) -> bool:
    if not isinstance(value, dict):
        return False
    standing = {name: part for name, part in value.items() if name in ("action", "text", "data")}
    return standing == decision.model_dump(mode="json", exclude_defaults=True, exclude={"review_id", "by"})


class _AnsweredError(DecisionError):
    """A review that has a decision already."""

    def __init__(self, review: Review, standing: Item) -> None:
        before, when = _parse(review, standing.value), standing.updated_at
        when = when.astimezone(UTC) if when.tzinfo else when  # SQLite's own clock is UTC and does not say so
        who = f" by {before.by}" if before.by else ""
        why = f": {before.text[:_MOST_QUOTED]}" if before.text else ""
        super().__init__(
            f"review {review.id} has already been answered with '{before.action}' at {when:%Y-%m-%d %H:%M:%S} UTC"
            f"{who}{why}"
        )


async def forget_decisions(bridge: Bridge, store: BaseStore, thread_id: str) -> None:
    """Deletes the decisions of a thread's former task: the same question of a new one is open again."""
    await delete_all(bridge, store, namespace(thread_id, "decisions"))


async def is_stopped(bridge: Bridge, store: BaseStore, thread_id: str) -> bool:
    """Whether a human has said stop at any review of the thread's run."""
    stops = SearchOp(namespace(thread_id, "decisions"), filter={"action": "stop"}, limit=1)
    return bool((await bridge.batch(store, [stops]))[0])


async def ask_unless_stopped(bridge: Bridge, store: BaseStore, review: Review) -> Decision:
    """As `reviews.ask`; but what has no decision of its own yet is stopped where something else was.

    Raises:
        GraphInterrupt: There is no valid decision yet; the run pauses and shows the review.
    """
    is_open = await recorded_decision(bridge, store, review) is None
    if is_open and await is_stopped(bridge, store, review.thread_id):
        return Decision(review_id=review.id, action="stop")
    decision = await ask(bridge, store, review)
    if is_open and decision.action == "stop":  # said as LangGraph's resume value, which only this node has seen
        await record_decision(bridge, store, review, decision)
    return decision
