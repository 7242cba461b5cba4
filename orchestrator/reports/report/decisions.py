"""Decisions: what humans decided, told a run and are asked, in the order of time."""

import math
from datetime import datetime
from typing import Any

from orchestrator.reports.history.task import TaskHistory

_REVIEW: dict[str, Any] = {"kind": "", "question": "", "stake": "", "subject": {}, "allowed": []}
_DECISION: dict[str, Any] = {"action": "", "text": "", "data": None}


def decisions_of(history: TaskHistory) -> list[dict[str, Any]]:
    """Return the decisions about one task, JSON-plain but for their times.

    An open question has no `at` and no `action`, and is behind all others.
    """
    decisions = []
    for asked in history.reviews:
        review, decision = asked.review, asked.decision
        about = {name: review.get(name, default) for name, default in _REVIEW.items()}
        answer = {name: decision.get(name, default) for name, default in _DECISION.items()}
        ids = {"review_id": str(review.get("id", "")), "sub_task": str(review.get("sub_task_id", ""))}
        decisions.append({**ids, **about, "asked": asked.asked, "at": asked.answered, "by": asked.by, **answer})
    for told in history.instructions:
        decisions.append(_of_run("instruction", told, text=str(told.get("text", ""))))
    raises = sum(each.get("kind") == "steer" and each["action"] == "edit" for each in decisions)
    # A raise that answers a review is told there, and the limits are set right after it.
    decisions += [_of_run("limits", each, data=each["budget"]) for each in history.limits[raises:]]
    return sorted(decisions, key=lambda each: each["at"].timestamp() if each["at"] else math.inf)


def _of_run(kind: str, told: dict[str, Any], text: str = "", data: Any = None) -> dict[str, Any]:
    # The history has them as texts, and sorting needs times.
    at = datetime.fromisoformat(str(told["at"]))
    by = str(told.get("by", ""))
    return {
        "review_id": "",
        "sub_task": "",
        **_REVIEW,
        "kind": kind,
        "asked": None,
        "at": at,
        "by": by,
        "action": kind,
        "text": text,
        "data": data,
    }
