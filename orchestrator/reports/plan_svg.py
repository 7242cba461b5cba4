"""A plan as an SVG picture: a column for each level, an arrow for each dependency. It needs no script."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.control_characters import visible
from orchestrator.planning.outcome import Outcome
from orchestrator.planning.plan import Plan
from orchestrator.planning.status_colours import FILLS
from orchestrator.reports.escaping import escape
from orchestrator.text import shorten

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y = 190, 52, 56, 18
_LABEL_CHARS = 31  # about as many fit into a box at 11 pixels
_BLANK = "#ffffff"


@dataclass(frozen=True)
class PlanPicture:
    """A picture of a plan, also for front ends that show no HTML, such as GitHub.

    Args:
        svg: The picture as an SVG element.
        text: The plan as a table, where no picture can be shown.
    """

    svg: str
    text: str

    @classmethod
    def of(cls, plan: Plan, outcomes: Mapping[str, Outcome]) -> "PlanPicture":
        """Return the picture of a plan with the outcomes of its sub-tasks."""
        return cls(plan_svg(plan, outcomes), visible(plan.table(outcomes)))

    def __str__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": self.text, "image/svg+xml": self.svg}


def plan_svg(
    plan: Plan,
    outcomes: Mapping[str, Outcome] | None = None,
    *,
    statuses: Mapping[str, str] | None = None,
    links: Mapping[str, str] | None = None,
    tip: str = "tip",
) -> str:
    """Return the plan as an SVG element. Colours show the status of sub-tasks.

    Args:
        plan: The plan.
        outcomes: The outcomes of finished sub-tasks.
        statuses: The status of each sub-task, also of those at work; by default those of the outcomes.
        links: The addresses that boxes lead to, by sub-task.
        tip: The id of the tips of its arrows. Several pictures in one file need one each.
    """
    if statuses is None:
        statuses = {name: outcome.status for name, outcome in (outcomes or {}).items()}
    # The column is the longest way from a sub-task without dependencies, so that no arrow points back.
    rows: dict[int, int] = {}
    corners: dict[str, tuple[int, int]] = {}
    for task in plan.sub_tasks:
        column = plan.depths[task.id]
        row = rows.setdefault(column, 0)
        rows[column] += 1
        corners[task.id] = (8 + column * (_WIDTH + _GAP_X), 8 + row * (_HEIGHT + _GAP_Y))
    width = 16 + (max(rows, default=0) + 1) * (_WIDTH + _GAP_X) - _GAP_X
    height = 16 + max(rows.values(), default=1) * (_HEIGHT + _GAP_Y) - _GAP_Y
    parts = [_arrow(corners[dep], corners[task.id], tip) for task in plan.sub_tasks for dep in task.depends_on]
    for task_id, corner in corners.items():
        box = _box(plan, task_id, corner, statuses.get(task_id, ""))
        parts.append(f'<a href="{escape(links[task_id])}">{box}</a>' if links and task_id in links else box)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        # What is in a picture cannot be reached by keyboard.
        f'font-family="sans-serif" role="{"group" if links else "img"}" aria-label="plan"><defs>'
        f'<marker id="{tip}" markerWidth="8" markerHeight="8" '
        'refX="7" refY="3" orient="auto"><path d="M0,0 L7,3 L0,6 z" fill="#777"/></marker></defs>'
        + "".join(parts)
        + "</svg>"
    )


def _arrow(start: tuple[int, int], end: tuple[int, int], tip: str) -> str:
    x1, y1 = start[0] + _WIDTH, start[1] + _HEIGHT // 2
    x2, y2 = end[0] - 2, end[1] + _HEIGHT // 2
    middle = (x1 + x2) // 2
    curve = f"M{x1},{y1} C{middle},{y1} {middle},{y2} {x2},{y2}"
    return f'<path d="{curve}" fill="none" stroke="#777" marker-end="url(#{tip})"/>'


def _box(plan: Plan, task_id: str, corner: tuple[int, int], status: str) -> str:
    task = plan.by_id[task_id]
    x, y = corner
    fill = FILLS.get(status, _BLANK)  # type: ignore[call-overload]
    text = shorten(task.description, _LABEL_CHARS)
    title = f"{status}: {task.description}" if status else task.description
    mark = " ✋" if task.requires_approval else ""
    return (
        f'<g><title>{escape(title)}</title><rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="7" '
        f'fill="{fill}" stroke="#888"/><text x="{x + 9}" y="{y + 20}" font-size="12" font-weight="bold" fill="#222">'
        f"{escape(task_id)} · {escape(task.target_agent)}{mark}</text>"
        f'<text x="{x + 9}" y="{y + 39}" font-size="11" fill="#333">{escape(text)}</text></g>'
    )
