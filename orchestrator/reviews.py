"""Review: one question to a human. Decision: the answer to it, by the review's id.

Every gate fails closed: without an explicit decision for its own id, continuing the run asks again. Decisions reach
a gate in two ways: recorded in the store by `TaskOrchestrator.decide` from any process, or as the value of
LangGraph's `Command(resume=…)`, as Studio does it. Both are validated, and both must name the review.
"""

import hashlib
import json
from typing import Any, Literal, cast

from langgraph.store.base import BaseStore, GetOp, PutOp, SearchItem, SearchOp
from langgraph.types import interrupt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.bridge import Bridge
from orchestrator.budget import Budget
from orchestrator.errors import ConfigError, DecisionError, PlanError
from orchestrator.memory import namespace
from orchestrator.plan import Plan

_PAGE = 200

Kind = Literal["plan", "result", "tool", "steer"]
Action = Literal["approve", "edit", "reject", "stop"]


class Review(BaseModel):
    """One question.

    Args:
        id: `<thread>/<kind>-<hash>`; the same question always has the same id.
        kind: What is asked about.
        question: One sentence.
        stake: What hangs on it.
        subject: The plan, the result or the tool call, JSON-plain.
        allowed: The actions that answer it.
        sub_task_id: The sub-task that it is about, if one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    kind: Kind
    question: str
    stake: str = ""
    subject: dict[str, Any] = Field(default_factory=dict)
    allowed: tuple[Action, ...] = ("approve", "edit", "reject", "stop")
    sub_task_id: str = ""

    @property
    def thread_id(self) -> str:
        """The thread that waits for the answer."""
        return self.id.rpartition("/")[0]


class Decision(BaseModel):
    """The answer to one review.

    Args:
        review_id: The review.
        action: What to do.
        text: For `reject`: why; for `edit` of a result: the new text; otherwise a remark.
        data: For `edit` of a plan: the plan; of a tool call: its arguments; of a spent budget: its new limits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    review_id: str
    action: Action
    text: str = ""
    data: dict[str, Any] | list[Any] | None = None


def review_id(thread_id: str, kind: Kind, *subject: str) -> str:
    """The id of the question of this kind about this subject."""
    return f"{thread_id}/{kind}-{hashlib.sha256(chr(0).join(subject).encode()).hexdigest()[:8]}"


def check_decision(review: Review, decision: Decision) -> Decision:
    """Returns the decision when it answers the review.

    Raises:
        DecisionError: It names another review, is not allowed, or lacks what its action needs.
    """
    if decision.review_id != review.id:
        raise DecisionError(f"the decision names review '{decision.review_id}', the open one is '{review.id}'")
    if decision.action not in review.allowed:
        raise DecisionError(f"'{decision.action}' does not answer {review.id}: use one of {', '.join(review.allowed)}")
    if decision.action == "reject" and not decision.text.strip():
        raise DecisionError("a rejection needs a text that says what should be different")
    if decision.action == "edit":
        _check_edit(review, decision)
    return decision


def _check_edit(review: Review, decision: Decision) -> None:
    if review.kind == "result" and not decision.text.strip():
        raise DecisionError("editing a result needs its new text")
    if review.kind == "tool" and not isinstance(decision.data, dict):
        raise DecisionError("editing a tool call needs its new arguments as a JSON object")
    if review.kind == "steer":
        _check_raise(review, decision)
    if review.kind == "plan":
        try:
            Plan.parse(decision.data).check(review.subject["agents"], most=review.subject.get("most"))
        except PlanError as error:
            raise DecisionError(f"the edited plan is not sound: {error}") from error


def _check_raise(review: Review, decision: Decision) -> None:
    before = Budget.parse(review.subject["budget"])
    if not isinstance(decision.data, dict) or not decision.data:
        raise DecisionError('raising the budget needs its new limits as a JSON object, such as {"tokens": 50000}')
    try:
        after = before.raised(decision.data)
    except ConfigError as error:
        raise DecisionError(str(error)) from None
    if after == before:
        raise DecisionError(f"that is the budget as it was ({before}): give higher limits")


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
    place = namespace(thread_id, "decisions")
    while page := cast(list[SearchItem], (await bridge.batch(store, [SearchOp(place, limit=_PAGE)]))[0]):
        await bridge.batch(store, [PutOp(place, item.key, None) for item in page])
