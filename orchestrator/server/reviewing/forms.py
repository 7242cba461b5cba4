"""Forms: what a person did with the form of a review, as the parts of a decision."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args

from orchestrator.errors import ConfigError, DecisionError
from orchestrator.reviews.answering.limits import is_budget, most_used_limit, typed_limit
from orchestrator.reviews.review import Action, Data, Review
from orchestrator.server.reviewing.fields import Field, fields_of, object_of
from orchestrator.text import ReadOnNote

ACTIONS = get_args(Action)


@dataclass(frozen=True)
class Answer:
    """The parts of a decision, before it is checked against its review.

    Args:
        action: The action.
        text: Feedback, a new text or a remark.
        data: New data.
    """

    action: Action
    text: str = ""
    data: Data | None = None


def args_schema(review: Review) -> dict[str, Any]:
    """Return the JSON schema of the object that the form of a review is for; empty where it is for a text."""
    if review.kind == "tool":
        return dict(review.subject.get("args_schema") or {"type": "object"})
    schema = review.subject.get("schema") if review.kind == "question" else None
    return dict(schema) if isinstance(schema, Mapping) and isinstance(schema.get("properties"), Mapping) else {}


def args_fields(review: Review, typed: Mapping[str, str] | None = None) -> list[Field]:
    """Return the fields of a tool's arguments, or of an answer with several values.

    Args:
        review: The review.
        typed: What a person has typed; it goes before the arguments in question.
    """
    schema = args_schema(review)
    return fields_of(schema, _values(review), typed) if schema else []


def _values(review: Review) -> dict[str, Any]:
    return dict(review.subject.get("args") or {}) if review.kind == "tool" else {}


def answer_of(review: Review, form: Mapping[str, str]) -> Answer:
    """Return what a form means.

    Args:
        review: The review.
        form: The fields of the form by name.

    Raises:
        ConfigError: A field holds what it must not hold.
        DecisionError: There is no such action, or it is none for a form.
    """
    # Browsers send each line end as CRLF.
    action, text = form.get("action", ""), form.get("text", "").replace("\r\n", "\n")
    if action not in ACTIONS:
        raise DecisionError(f"'{action}' does not answer {review.id}: use one of {', '.join(review.allowed)}")
    chosen = cast(Action, action)
    if action == "edit" and review.kind == "tool":
        return Answer(chosen, data=object_of(args_schema(review), _values(review), form))
    if action == "edit" and is_budget(review):
        return Answer(chosen, data=_limit(review, form.get("limit", "")))
    if action == "edit" and review.kind == "result" and ReadOnNote.split(text.rstrip("\n"))[1] is not None:
        raise DecisionError("the review shows the beginning of the result only: write the whole new text")
    if action == "edit" and review.kind == "plan":
        raise DecisionError("a plan is edited in its table")
    if action == "answer" and args_schema(review):
        return Answer(chosen, data=object_of(args_schema(review), {}, form))
    if action == "answer":
        return _answered(review, text)
    return Answer(chosen, text)


def _limit(review: Review, text: str) -> dict[str, Any]:
    try:
        limit = typed_limit(review, text)
    except ValueError as error:
        raise ConfigError(f"the new limit '{text}': {error}") from None
    if limit is None and text.strip().lower() in ("none", "no limit"):
        return {most_used_limit(review): None}
    if limit is None:
        raise ConfigError(f"the new limit '{text}' is no amount: write a number as in 500k or $5")
    return limit


def _answered(review: Review, text: str) -> Answer:
    """Return the answer to a tool's question: data where its schema wants a plain value that is no text."""
    schema = review.subject.get("schema")
    if not isinstance(schema, Mapping) or schema.get("type") == "string":
        return Answer("answer", text)
    # The same fields read the value as those of an object's, and name the same mistakes.
    value = object_of({"properties": {"answer": schema}, "required": ["answer"]}, {}, {"arg:answer": text.strip()})
    return Answer("answer", data=value["answer"])
