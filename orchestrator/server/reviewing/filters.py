"""Filters: what the templates of reviews print, beyond plain texts."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from orchestrator.errors import PlanError
from orchestrator.planning.plan import Plan
from orchestrator.reports.history.uses import ToolUse
from orchestrator.reports.plan_svg import plan_svg
from orchestrator.reports.wording import called
from orchestrator.reviews.answering.limits import example_limit
from orchestrator.server.reviewing.evidence import shown_value
from orchestrator.server.reviewing.forms import args_fields
from orchestrator.server.reviewing.open_review import OpenReview
from orchestrator.server.reviewing.plan_rows import PlanRow
from orchestrator.text import normal_text, shorten

_LINE_CHARS = 160
LIMIT_WORDS = {
    "tokens": "tokens",
    "cost_usd": "dollars",
    "model_calls": "model calls",
    "tool_calls": "tool calls",
    "wall_clock_s": "seconds",
}


def plan_picture(plan: Sequence[Mapping[str, Any]]) -> Markup:
    """Return a plan in plain form as a picture."""
    try:
        return Markup(plan_svg(Plan.parse(list(plan))))
    except PlanError:  # a review of another version is shown without its picture
        return Markup("")


def in_a_line(entry: OpenReview) -> str:
    """Return the subject of a review in one line."""
    subject = entry.review.subject
    match entry.review.kind:
        case "tool":
            words = called(str(subject.get("tool", "")), subject.get("args") or {})
        case "plan":
            words = "; ".join(f"{each['id']} {each['description']}" for each in subject["plan"])
        case "result":
            words = str(subject.get("result", ""))
        case _:
            words = "; ".join(map(str, subject.get("problems") or ()))
    # Cut before the spaces are looked at: a text may have megabytes.
    return shorten(normal_text(words[: _LINE_CHARS * 4]), _LINE_CHARS)


def _called(use: ToolUse) -> str:
    return called(use.tool, use.args, _LINE_CHARS)


FILTERS = {
    "args_fields": args_fields,
    "as_text": shown_value,
    "called": _called,
    "example_limit": example_limit,
    "in_a_line": in_a_line,
    "plan_picture": plan_picture,
    "quoted": shlex.quote,
}
GLOBALS = {"limit_words": LIMIT_WORDS, "blank_row": PlanRow()}
