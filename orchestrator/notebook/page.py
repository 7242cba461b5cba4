"""A run that goes on, as HTML for a notebook: the plan in the colours of its statuses, and what each worker does.

Invariant: every text is escaped, and nothing needs a script or a style sheet.
"""

from orchestrator.cli.progress.board import SUPERVISOR
from orchestrator.notebook.board import NotebookBoard
from orchestrator.planning.plan import Plan
from orchestrator.planning.status_colours import FILLS
from orchestrator.reports.escaping import escape
from orchestrator.reports.plan_svg import plan_svg
from orchestrator.text import normal_text, shorten

_MOST_ROWS = 40
_MOST_CHARS = 110
_ORDER = ("waiting", "running", "failed", "pending", "skipped", "succeeded")


def board_html(board: NotebookBoard) -> str:
    """Return the state of a run as a fragment of HTML."""
    parts = [f"<p>{_head(board)}</p>"]
    if board.plan is not None:
        statuses = board.statuses()
        # A plan with many levels is wider than the page.
        parts.append(f'<div style="overflow-x:auto">{plan_svg(board.plan, statuses=statuses)}</div>')
        parts.append(_table(board, board.plan))
    if words := board.words(SUPERVISOR):
        parts.append(f'<blockquote style="white-space:pre-wrap">{escape(words)}</blockquote>')
    parts += [f"<p>{escape(notice)}</p>" for notice in board.notices]
    return "".join(parts)


def board_text(board: NotebookBoard) -> str:
    """Return the state of a run as text, for front ends without HTML."""
    lines = [f"{name}: {status}" for name, status in board.statuses().items()]
    return "\n".join([_summary(board), *lines])


def _head(board: NotebookBoard) -> str:
    dot = '<span style="color:#2f80ed">●</span> ' if board.is_at_work else ""
    return f"{dot}<b>{escape(board.thread_id)}</b>: {escape(_summary(board))}"


def _summary(board: NotebookBoard) -> str:
    statuses = list(board.statuses().values())
    phase = ", ".join(part for part in (board.phase, board.activity(SUPERVISOR)) if part)
    parts = [phase] if phase else []
    if statuses:
        parts.append(f"{statuses.count('succeeded')}/{len(statuses)}")
    parts += [f"{count} {status}" for status in ("running", "waiting", "failed") if (count := statuses.count(status))]
    parts.append(f"{board.elapsed:.0f} s")
    if board.spent is not None:
        dollars = f", ${board.spent.cost_usd:.4f}" if board.spent.cost_usd else ""
        parts.append(f"{board.spent.model_calls} model calls, {board.spent.tokens:,} tokens{dollars}")
    return " · ".join(parts)


def _table(board: NotebookBoard, plan: Plan) -> str:
    names = list(plan.by_id)
    if len(names) > _MOST_ROWS:
        # Work and questions to a human are always seen; of the others, as many as there is room for.
        shown = set(sorted(names, key=lambda name: _ORDER.index(board.status(name)))[:_MOST_ROWS])
        names = [name for name in names if name in shown]
    rows = "".join(_row(board, plan, name) for name in names)
    folded = len(plan.by_id) - len(names)
    rest = f'<tr><td colspan="5">… and {folded} more</td></tr>' if folded else ""
    return f'<table style="text-align:left">{rows}{rest}</table>'


def _row(board: NotebookBoard, plan: Plan, name: str) -> str:
    task, status = plan.by_id[name], board.status(name)
    fill = FILLS.get(status)  # type: ignore[call-overload]
    # The text on a fill is dark in any theme, as in the picture.
    style = f' style="background:{fill};color:#222"' if fill else ""
    seconds = f"{board.seconds(name):.0f} s" if status == "running" else f"{board.took(name):.1f} s"
    again = f" ({task.attempt})" if task.attempt > 1 else ""
    return (
        f"<tr><td>{escape(name + again)}</td><td{style}>{escape(status)}</td><td>{escape(task.target_agent)}</td>"
        f"<td>{seconds if status in ('running', 'succeeded', 'failed') else ''}</td>"
        f'<td style="text-align:left">{escape(_doing(board, plan, name))}</td></tr>'
    )


def _doing(board: NotebookBoard, plan: Plan, name: str) -> str:
    """Return what a worker does now, or what its sub-task waits for or has failed of."""
    status = board.status(name)
    if status == "running":
        # Words that stream are newer than the request that they answer.
        words = normal_text(board.words(name))
        return f"… {words[-_MOST_CHARS:]}" if words else board.activity(name) or "thinking"
    if status == "waiting" and (question := board.question(name)):
        return shorten(question, _MOST_CHARS)
    if error := board.error(name):
        return shorten(normal_text(error), _MOST_CHARS)
    if status == "pending" and (missing := board.missing(name)):
        return f"waits for {', '.join(missing)}"
    return shorten(normal_text(plan.by_id[name].description), _MOST_CHARS)
