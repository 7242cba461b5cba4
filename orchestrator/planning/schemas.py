"""JSON schemas of the answers of supervisors and reviewers."""

from collections.abc import Sequence
from typing import Any

Schema = dict[str, Any]
_TEXT: Schema = {"type": "string"}


def _object(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),  # endpoints with strict schemas take no optional property
        "additionalProperties": False,
    }


def _titled(title: str, schema: Schema) -> Schema:
    return {"title": title, **schema}


def plan_schema(agents: Sequence[str]) -> Schema:
    """Return the schema of a plan for a team with these agents."""
    sub_task = _object(
        id=_TEXT,
        description=_TEXT,
        target_agent={"type": "string", "enum": list(agents)},
        depends_on={"type": "array", "items": _TEXT},
        requires_approval={"type": "boolean"},
    )
    return _titled("Plan", _object(sub_tasks={"type": "array", "items": sub_task}))


def verdict_schema(candidates: Sequence[str]) -> Schema:
    """Return the schema of a reviewer's verdict on one of these sub-tasks."""
    return _titled(
        "Verdict",
        _object(
            reason=_TEXT,  # first: a model writes properties in this order, and shall judge after it has reasoned
            verdict={"type": "string", "enum": ["accept", "changes_requested"]},
            sub_task_id={"type": "string", "enum": [*candidates, ""]},  # empty for a verdict that accepts
        ),
    )


def revision_schema(agents: Sequence[str]) -> Schema:
    """Return the schema of changes of a plan after failures."""
    change = _object(
        action={"type": "string", "enum": ["retry", "reassign", "add", "drop"]},
        sub_task_id=_TEXT,
        text=_TEXT,
        target_agent={"type": "string", "enum": [*agents, ""]},  # empty for changes that need none
        depends_on={"type": "array", "items": _TEXT},
    )
    return _titled(
        "Revision",
        _object(
            reason=_TEXT,
            decision={"type": "string", "enum": ["revise", "finish", "ask_human"]},
            changes={"type": "array", "items": change},
        ),
    )
