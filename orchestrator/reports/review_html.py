"""A review as HTML for a notebook.

Invariant: every text is escaped. Plans, arguments and results come from models.
"""

import json
from typing import TYPE_CHECKING, Any

from orchestrator.errors import PlanError
from orchestrator.planning.plan import Plan
from orchestrator.reports.escaping import escape
from orchestrator.reports.plan_svg import plan_svg

if TYPE_CHECKING:
    from orchestrator.reviews.review import Review

_SCROLLS = "white-space:pre-wrap;overflow-wrap:anywhere;max-height:24em;overflow-y:auto"


def as_written(text: str) -> str:
    """Return a text with its line breaks and columns. A very long one scrolls in a box of its own."""
    return f'<div style="{_SCROLLS}">{escape(text)}</div>'


def review_html(review: "Review") -> str:
    """Return the question with its subject, which unfolds."""
    stake = f"<br/>at stake: {escape(review.stake)}" if review.stake else ""
    head = f"✋ <b>{escape(review.question)}</b>{stake}"
    subject = _subject(review)
    return f"<details><summary>{head}</summary>{subject}</details>" if subject else f"<p>{head}</p>"


def _subject(review: "Review") -> str:
    subject = review.subject
    if review.kind == "plan" and (picture := _plan(subject.get("plan"))):
        return picture
    if "tool" in subject:
        return f"<p><code>{escape(str(subject['tool']))}</code></p>{_values(subject.get('args'))}"
    if isinstance(subject.get("result"), str):
        return as_written(subject["result"])
    problems = [str(each) for each in subject.get("problems", ())]
    limits = {name: subject[name] for name in ("budget", "spent") if name in subject}
    return "".join(f"<p>{escape(each)}</p>" for each in problems) + _values(limits)


def _plan(form: Any) -> str:
    try:
        plan = Plan.parse(form)
    except PlanError:  # another version may have asked
        return _values(form)
    rows = "".join(
        f"<tr><td>{escape(task.id)}</td><td>{escape(task.target_agent)}</td>"
        f'<td style="text-align:left">{escape(task.description)}</td></tr>'
        for task in plan.sub_tasks
    )
    picture = f'<div style="overflow-x:auto">{plan_svg(plan)}</div>'
    return f'{picture}<table style="text-align:left">{rows}</table>'


def _values(form: Any) -> str:
    return as_written(json.dumps(form, indent=2, ensure_ascii=False, default=str)) if form else ""
