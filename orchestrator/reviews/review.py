"""Review and Decision: a question to a human, and its answer."""

import hashlib
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from orchestrator.budget.budget import Budget
from orchestrator.errors import ConfigError, DecisionError, OrchestratorError, PlanError
from orchestrator.planning.output_schema import OutputSchema
from orchestrator.planning.plan import Plan
from orchestrator.reviews.answer_schema import answer_schema
from orchestrator.text import sound_json
from orchestrator.validation import Checked

Kind = Literal["plan", "result", "tool", "steer", "question"]
Action = Literal["approve", "edit", "reject", "stop", "answer"]
Data = dict[str, Any] | list[Any] | str | bool | int | float
"""Plain data of a decision."""


class Review(BaseModel):
    """One question.

    Args:
        id: `<thread>/<kind>-<hash>`; the same question always has the same id.
        kind: The kind of its subject.
        question: One sentence.
        stake: The consequence of the answer.
        subject: The plan, the result or the tool call, JSON-plain.
        allowed: The actions that answer it.
        sub_task_id: The sub-task in question; empty for a question about the run.
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
        return self.id.rpartition("/")[0]  # a thread's own id may hold slashes

    @property
    def answer_schema(self) -> dict[str, Any]:
        """The JSON schema of a decision about this review, with one branch (`oneOf`) for each allowed action."""
        return answer_schema(self.id, self.kind, self.allowed, self.subject)

    @classmethod
    def of_payload(cls, payload: dict[str, Any]) -> "Review":
        """Read the review in the payload of an interrupt. A payload holds more, and a newer version may add to it."""
        return cls.model_validate({name: part for name, part in payload.items() if name in cls.model_fields})


class Decision(Checked):
    """The answer to one review.

    Args:
        review_id: The review.
        action: The answer, one of those that the review allows.
        text: For `reject`, the reason. For `edit` of a result, the new text. For `answer`, the answer. Otherwise a
            remark.
        data: For `edit`: the new plan, the new arguments of a tool call, or the new limits of a budget. For `answer`:
            an answer that is no text.
        by: The name of the user who decided, where it is known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    _error: ClassVar[type[OrchestratorError]] = DecisionError

    review_id: str
    action: Action
    text: str = ""
    data: Data | None = None
    by: str = ""

    @field_validator("review_id", "text", "data", "by", mode="before")
    @classmethod
    def _sound(cls, value: Any) -> Any:
        return sound_json(value)


def review_id(thread_id: str, kind: Kind, *subject: str, task_number: int = 1) -> str:
    """Return the id of the question of this kind about this subject.

    Args:
        thread_id: The thread.
        kind: The kind.
        subject: Names the subject among those of its kind.
        task_number: Number of the task on the thread; an answer for one task is none for another.
    """
    if task_number > 1:  # ids of first tasks are as they always were, since their decisions are stored under them
        subject = (*subject, f"task {task_number}")
    return f"{thread_id}/{kind}-{hashlib.sha256(chr(0).join(subject).encode()).hexdigest()[:8]}"


def check_decision(review: Review, decision: Decision) -> Decision:
    """Return the decision when it answers the review.

    Raises:
        DecisionError: The decision names another review, is not allowed, or lacks the text or data of its action.
    """
    if decision.review_id != review.id:
        raise DecisionError(f"the decision names review '{decision.review_id}', the open one is '{review.id}'")
    if decision.action not in review.allowed:
        raise DecisionError(f"'{decision.action}' does not answer {review.id}: use one of {', '.join(review.allowed)}")
    if decision.action == "reject" and not decision.text.strip():
        raise DecisionError("a rejection needs a text that says what should be different")
    if decision.action == "answer" and decision.data is None and not decision.text.strip():
        raise DecisionError("an answer needs its text, or data")
    if decision.action == "edit":
        _check_edit(review, decision)
    return decision


def _check_edit(review: Review, decision: Decision) -> None:
    if review.kind == "result" and not decision.text.strip():
        raise DecisionError("editing a result needs its new text")
    if review.kind == "result" and "output_schema" in review.subject:
        _check_typed(review.subject["output_schema"], decision.text)
    if review.kind == "tool" and not isinstance(decision.data, dict):
        raise DecisionError("editing a tool call needs its new arguments as a JSON object")
    if review.kind == "steer":
        _check_raise(review, decision)
    if review.kind == "plan":
        try:
            Plan.parse(decision.data).check(
                review.subject["agents"], most=review.subject.get("most")
            )  # older reviews hold no bound
        except PlanError as error:
            raise DecisionError(f"the edited plan is not sound: {error}") from error


def _check_typed(schema: dict[str, Any], text: str) -> None:
    if problems := OutputSchema(schema).text_problems(text):
        raise DecisionError(f"the edited result cannot be used: {'; '.join(problems)}")


def _check_raise(review: Review, decision: Decision) -> None:
    limits = Budget.parse(review.subject["budget"])
    if not isinstance(decision.data, dict | str | int) or not decision.data:
        raise DecisionError(
            'raising the budget needs its new limits as a JSON object, such as {"tokens": 50000}, or one amount: 500k'
        )
    try:
        raised = limits.raised(decision.data)
    except ConfigError as error:
        raise DecisionError(str(error)) from None
    if raised == limits:  # the question about the same limits would have the same id, so this answer would not end it
        raise DecisionError(f"that is the budget as it was ({limits}): give higher limits")
