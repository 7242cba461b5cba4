"""A run as HTML for a notebook.

Invariant: every text is escaped. Models, tools, documents and file names may hold markup.
"""

import json
from typing import TYPE_CHECKING

from orchestrator.reports.escaping import escape
from orchestrator.reports.plan_svg import plan_svg
from orchestrator.reports.review_html import as_written, review_html
from orchestrator.text import normal_text, shorten

if TYPE_CHECKING:
    from orchestrator.planning.outcome import Outcome
    from orchestrator.planning.plan import Plan
    from orchestrator.reports.results import SubTaskResult, ToolCallRecord
    from orchestrator.reviews.review import Review
    from orchestrator.runs.run import Run

_HEAD_CHARS = 120
_MARK = "⚙"


def run_html(run: "Run") -> str:
    """Return the run as a fragment of HTML: status, plan, results, reviews, files, errors and answer."""
    parts = [f"<p><b>{escape(run.thread_id)}</b>: {escape(run.status)} · {escape(str(run.spending))}</p>"]
    if run.plan:
        # A plan with many levels is wider than the page.
        parts.append(f'<div style="overflow-x:auto">{plan_svg(run.plan, run.outcomes)}</div>')
        rows = "".join(_row(run.plan, outcome, run.results.get(outcome.id)) for outcome in run.outcomes.values())
        if rows:
            head = "<tr><th>sub-task</th><th>agent</th><th>status</th><th>seconds</th>"
            head += '<th style="text-align:left">result</th></tr>'
            parts.append(f'<table style="text-align:left">{head}{rows}</table>')
    parts += [_review(review) for review in run.reviews]
    if run.artifacts:
        files = ", ".join(f"{escape(artifact.name)} ({artifact.bytes:,} bytes)" for artifact in run.artifacts)
        parts.append(f"<p>files: {files}</p>")
    parts += [f"<p>⚠ {escape(error)}</p>" for error in run.errors]
    if run.answer:
        # Shown as written: the line breaks and columns of Markdown stay.
        parts.append(f'<blockquote style="white-space:pre-wrap">{escape(run.answer)}</blockquote>')
        if run.references:
            parts.append(f"<p>from {escape(', '.join(map(str, run.references)))}</p>")
    return "".join(parts)


def _row(plan: "Plan", outcome: "Outcome", result: "SubTaskResult | None") -> str:
    cells = (outcome.id, plan.by_id[outcome.id].target_agent, outcome.status, f"{outcome.seconds:.1f}")
    shown = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f'<tr style="vertical-align:top">{shown}<td style="text-align:left">{_result(outcome, result)}</td></tr>'


def _result(outcome: "Outcome", result: "SubTaskResult | None") -> str:
    """Return the beginning of a result, which unfolds to the whole with all that it rests on."""
    if result is None:
        return escape(outcome.error or outcome.digest)
    head = escape(shorten(normal_text(outcome.error or result.text), _HEAD_CHARS))
    parts = [as_written(result.text)] if result.text else []
    about = {"sources": result.sources, "rests on what came from outside": result.tainted_by, "⚠": result.gaps}
    parts += [f"<p>{name}: {escape(', '.join(texts))}</p>" for name, texts in about.items() if texts]
    if result.verdict is not None:
        parts.append(f"<p>verdict: {escape(result.verdict['verdict'])}: {escape(result.verdict['reason'])}</p>")
    parts += map(_call, result.tool_calls)
    # A browser unfolds it without a script, which notebooks from elsewhere may not run.
    return f"<details><summary>{head}</summary>{''.join(parts)}</details>" if parts else head


def _call(call: "ToolCallRecord") -> str:
    args = ", ".join(
        f"{name}={json.dumps(value, ensure_ascii=False, default=str)}" for name, value in call.args.items()
    )
    answer = call.answer or call.error or (f"refused: {call.refused}" if call.refused else "no answer was saved")
    return f"<p>{_MARK} <code>{escape(f'{call.tool}({args})')}</code></p>{as_written(answer)}"


def _review(review: "Review") -> str:
    actions = escape(", ".join(review.allowed))
    return f"{review_html(review)}<p><code>{escape(review.id)}</code>: {actions}</p>"
