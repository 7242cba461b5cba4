"""Review: one question to a human. Decision: the answer to it, by the review's id.

Every gate fails closed: without an explicit decision for its own id, continuing the run asks again. Decisions reach
a gate in two ways: recorded in the store by `TaskOrchestrator.decide` from any process, or as the value of
LangGraph's `Command(resume=…)`, as Studio does it. Both are validated, and both must name the review.
"""

import json
from typing import Any

from langgraph.store.base import BaseStore, GetOp, PutOp, SearchOp
from langgraph.types import interrupt
from pydantic import ValidationError

from orchestrator.concurrency import Bridge
from orchestrator.errors import DecisionError
from orchestrator.persistence.namespaces import delete_all, namespace
from orchestrator.reviews.review import Decision, Review, check_decision

STOPPED = "stopped by a human"


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
            return check_decision(review, _read_answer(answer, review))
        except DecisionError as error:
            problem = str(error)


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


async def recorded_decision(bridge: Bridge, store: BaseStore, review: Review) -> Decision | None:
    """The decision that was recorded for this review, if one was."""
    found: Any = (await bridge.batch(store, [GetOp(namespace(review.thread_id, "decisions"), review.id)]))[0]
    return None if found is None else check_decision(review, Decision.model_validate(found.value))


async def record_decision(bridge: Bridge, store: BaseStore, review: Review, decision: Decision) -> None:
    """Validates a decision and makes it durable; the run takes it up when it is resumed.

    Raises:
        DecisionError: See `check_decision`; or the review has another decision already.
    """
    check_decision(review, decision)
    before = await recorded_decision(bridge, store, review)
    if before is not None and before != decision:
        raise DecisionError(f"review {review.id} has already been answered with '{before.action}'")
    value = decision.model_dump(mode="json", exclude_defaults=True)
    await bridge.batch(store, [PutOp(namespace(review.thread_id, "decisions"), review.id, value)])


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
