"""Words of a report: times, amounts and decisions as people say them."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from orchestrator.reports.wording import clock_text, seconds_text

_ACTIONS = {
    "approve": "approved",
    "edit": "changed",
    "reject": "rejected",
    "stop": "stopped the run at",
    "answer": "answered",
}
_SUBJECTS = {
    "plan": "the plan",
    "result": "the result",
    "tool": "the call",
    "steer": "the question how to go on",
    "question": "the question",
}
_REASONS = {"slot": "a free slot", "human": "a human", "dependency": ""}


def when(at: str) -> str:
    """Return a time with its day where the report is made."""
    moment = datetime.fromisoformat(at).astimezone()
    # `%-d` is not known on every system.
    return f"{moment.day} {moment:%b %Y, %H:%M:%S}"


def clock(at: str) -> str:
    """Return the time of the day where the report is made."""
    return clock_text(datetime.fromisoformat(at))


def zone(at: str) -> str:
    """Return the zone of the times."""
    offset = f"{datetime.fromisoformat(at).astimezone():%z}"
    return "UTC" if offset == "+0000" else f"UTC{offset[:3]}:{offset[3:5]}"


def lasted(began: str | None, ended: str | None) -> str:
    """Return the time between two times; empty if one of them is unknown."""
    if not began or not ended:
        return ""
    return seconds_text((datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds())


def amount(spent: Mapping[str, Any]) -> str:
    """Return tokens, and dollars where a price is known."""
    tokens = int(spent.get("input_tokens", 0)) + int(spent.get("output_tokens", 0))
    return f"{tokens:,} tokens" + (f" · {dollars(spent.get('cost_usd'))}" if spent.get("cost_usd") else "")


def counted(count: int, name: str) -> str:
    """Return a number with its noun."""
    return f"{count:,} {name}{'' if count == 1 else 's'}"


def dollars(cost: float | None) -> str:
    """Return dollars; empty where no price is known."""
    return "" if cost is None else f"${cost:.4f}"


def limits(budget: Mapping[str, Any]) -> str:
    """Return the limits of a budget."""
    units = {"tokens": "tokens", "cost_usd": "US dollars", "wall_clock_s": "seconds"}
    parts = [
        f"{value:,} {units.get(name, name.replace('_', ' '))}"
        for name, value in budget.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    return " · ".join(parts) or "none"


def pretty(value: Any) -> str:
    """Return JSON-plain data for a person."""
    # `default`: a tool of a user's own may have been given more than JSON knows.
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, default=str)


def decided(decision: Mapping[str, Any]) -> str:
    """Return what was decided, as a part of a sentence behind the one who decided."""
    kind, action = decision["kind"], decision["action"]
    if kind == "instruction":
        return "told the run"
    if kind == "limits":
        return "set new limits"
    # A raise is an edit of the limits, and a rejection says what to do instead.
    if kind == "steer" and action in ("edit", "reject"):
        return "raised the limits" if action == "edit" else "told the run how to go on"
    of = f" of {decision['sub_task']}" if decision["sub_task"] else ""
    tool = decision["subject"].get("tool") if kind == "tool" and isinstance(decision["subject"], Mapping) else ""
    if tool:
        subject, of = f"the call of {tool}", of.replace(" of ", " in ", 1)
    else:
        subject = _SUBJECTS.get(kind, f"the {kind}")
    return f"{_ACTIONS.get(str(action), str(action))} {subject}{of}"


def waited(wait: Mapping[str, Any], ended: str | None) -> str:
    """Return what a sub-task waited for and how long; empty for a moment that is no wait.

    Args:
        wait: The wait, JSON-plain.
        ended: The end of its attempt.
    """
    last = wait["ended"] or ended
    # The moment in which a sub-task looks at results that are there already is no wait.
    if last and (datetime.fromisoformat(last) - datetime.fromisoformat(wait["began"])).total_seconds() < 0.05:
        return ""
    names = ", ".join(map(str, wait["names"]))
    of = _REASONS.get(wait["reason"], wait["reason"])
    subject = f"{of} ({names})" if of and names else of or names
    return f"waited {lasted(wait['began'], last)} for {subject}" if last else f"waits for {subject}"
