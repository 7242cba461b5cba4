"""The JSON schema of the answer to a review: one branch for each action, precise enough to make a form from it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Schema = dict[str, Any]
_REMARK: Schema = {"type": "string", "title": "Remark"}


def answer_schema(review_id: str, kind: str, allowed: Sequence[str], subject: Mapping[str, Any]) -> Schema:
    """Return the schema of a decision, as plain data.

    Args:
        review_id: The review.
        kind: The kind of its subject.
        allowed: The actions that answer it.
        subject: Its subject.
    """
    branches = []
    for action in allowed:
        title, fields, required = _BRANCHES[action](kind, subject)
        properties = {"action": {"const": action}, **fields}
        branches.append({"title": title, "properties": properties, "required": ["action", *required]})
    return {
        "type": "object",
        "properties": {"review_id": {"const": review_id}},
        "required": ["review_id", "action"],
        "oneOf": branches,
    }


Branch = tuple[str, dict[str, Schema], list[str]]
"""Title, properties and required properties."""


def _text(title: str) -> Schema:
    return {"type": "string", "pattern": r"\S", "title": title}


def _approve(kind: str, subject: Mapping[str, Any]) -> Branch:
    title = "Finish with what there is" if kind == "steer" else "Approve"
    return title, {"text": _REMARK}, []


def _stop(kind: str, subject: Mapping[str, Any]) -> Branch:
    return "Stop the run", {"text": _REMARK}, []


def _reject(kind: str, subject: Mapping[str, Any]) -> Branch:
    title, asked = {
        "steer": ("Try again", "What to try"),
        "tool": ("Reject", "Why not"),
        "question": ("Do not answer", "Why not"),
    }.get(kind, ("Reject", "What should be different"))
    return title, {"text": _text(asked)}, ["text"]


def _answer(kind: str, subject: Mapping[str, Any]) -> Branch:
    if isinstance(schema := subject.get("schema"), Mapping):
        return "Answer", {"data": {"title": "Answer", **schema}}, ["data"]
    return "Answer", {"text": _text("Answer")}, ["text"]


def _edit(kind: str, subject: Mapping[str, Any]) -> Branch:
    if kind == "result":
        return "Edit the result", {"text": _text("The new result")}, ["text"]
    if kind == "plan":
        return "Edit the plan", {"data": _plan(subject)}, ["data"]
    if kind == "tool":
        data = {"type": "object", **(subject.get("args_schema") or {})}
        return "Edit the arguments", {"data": {**data, "title": "The new arguments"}}, ["data"]
    return "Raise the budget", {"data": _LIMITS}, ["data"]


def _plan(subject: Mapping[str, Any]) -> Schema:
    agents = list(subject.get("agents") or ())
    sub_task = {
        "type": "object",
        "properties": {
            "id": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"},
            "description": {"type": "string", "minLength": 1},
            "target_agent": {"type": "string", "enum": agents} if agents else {"type": "string"},
            "depends_on": {"type": "array", "items": {"type": "string"}, "default": []},
            "requires_approval": {"type": "boolean", "default": False},
        },
        "required": ["id", "description", "target_agent"],
    }
    plan: Schema = {"type": "array", "title": "The new plan", "items": sub_task, "minItems": 1}
    return plan | ({"maxItems": most} if (most := subject.get("most")) else {})


_LIMITS: Schema = {
    "type": "object",
    "title": "The new limits",
    "properties": {
        "tokens": {"type": ["integer", "null"], "minimum": 1, "description": "null lifts the limit"},
        "cost_usd": {"type": ["number", "null"], "exclusiveMinimum": 0},
        "model_calls": {"type": ["integer", "null"], "minimum": 1},
        "tool_calls": {"type": ["integer", "null"], "minimum": 0},
        "wall_clock_s": {"type": ["number", "null"], "exclusiveMinimum": 0},
    },
    "minProperties": 1,
}

_BRANCHES: Mapping[str, Callable[[str, Mapping[str, Any]], Branch]] = {
    "approve": _approve,
    "edit": _edit,
    "reject": _reject,
    "answer": _answer,
    "stop": _stop,
}
