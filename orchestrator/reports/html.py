"""A run as HTML for a notebook.

Invariant: every text is escaped. Models, tools, documents and file names may hold markup.
"""

from typing import TYPE_CHECKING

from orchestrator.reports.escaping import escape
from orchestrator.reports.plan_svg import plan_svg

if TYPE_CHECKING:
    from orchestrator.planning.outcome import Outcome
    from orchestrator.planning.plan import Plan
    from orchestrator.reviews.review import Review
    from orchestrator.runs.run import Run


def run_html(run: "Run") -> str:
    """Return the run as a fragment of HTML: status, plan, results, reviews, files, errors and answer."""
    parts = [f"<p><b>{escape(run.thread_id)}</b>: {escape(run.status)} · {escape(str(run.spending))}</p>"]
    if run.plan:
        # A plan with many levels is wider than the page.
        parts.append(f'<div style="overflow-x:auto">{plan_svg(run.plan, run.outcomes)}</div>')
        rows = "".join(_row(run.plan, outcome) for outcome in run.outcomes.values())
        if rows:
            head = "<tr><th>sub-task</th><th>agent</th><th>status</th><th>seconds</th><th>result</th></tr>"
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


def _row(plan: "Plan", outcome: "Outcome") -> str:
    text = outcome.error or outcome.digest
    cells = (outcome.id, plan.by_id[outcome.id].target_agent, outcome.status, f"{outcome.seconds:.1f}", text)
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _review(review: "Review") -> str:
    actions = escape(", ".join(review.allowed))
    return f"<p>✋ <b>{escape(review.question)}</b><br/><code>{escape(review.id)}</code>: {actions}</p>"
