"""A plan as an SVG picture with colours of its own, for notebooks and files. It needs no script."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.control_characters import visible
from orchestrator.planning.outcome import Outcome
from orchestrator.planning.plan import Plan
from orchestrator.planning.status_colours import FILLS
from orchestrator.reports.escaping import escape
from orchestrator.reports.plan_layout import PlanLayout
from orchestrator.text import shorten

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
    layout = PlanLayout.of(plan)
    width, height = layout.width, layout.height
    parts = [_arrow(layout, dep, task.id, tip) for task in plan.sub_tasks for dep in task.depends_on]
    for task in plan.sub_tasks:
        box = _box(plan, layout, task.id, statuses.get(task.id, ""))
        parts.append(f'<a href="{escape(links[task.id])}">{box}</a>' if links and task.id in links else box)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        # What is in a picture cannot be reached by keyboard.
        f'font-family="sans-serif" role="{"group" if links else "img"}" aria-label="plan"><defs>'
        f'<marker id="{tip}" markerWidth="8" markerHeight="8" '
        'refX="7" refY="3" orient="auto"><path d="M0,0 L7,3 L0,6 z" fill="#777"/></marker></defs>'
        + "".join(parts)
        + "</svg>"
    )


def _arrow(layout: PlanLayout, start: str, end: str, tip: str) -> str:
    return f'<path d="{layout.arrow(start, end)}" fill="none" stroke="#777" marker-end="url(#{tip})"/>'


def _box(plan: Plan, layout: PlanLayout, task_id: str, status: str) -> str:
    task, size = plan.by_id[task_id], layout.size
    x, y = layout.corners[task_id]
    fill = FILLS.get(status, _BLANK)  # type: ignore[call-overload]
    text = shorten(task.description, _LABEL_CHARS)
    title = f"{status}: {task.description}" if status else task.description
    mark = " · approval" if task.requires_approval else ""  # a sign for it is missing in many fonts
    return (
        f'<g><title>{escape(title)}</title><rect x="{x}" y="{y}" width="{size.width}" '
        f'height="{size.height}" rx="7" '
        f'fill="{fill}" stroke="#888"/><text x="{x + 9}" y="{y + 20}" font-size="12" font-weight="bold" fill="#222">'
        f"{escape(task_id)} · {escape(task.target_agent)}{mark}</text>"
        f'<text x="{x + 9}" y="{y + 39}" font-size="11" fill="#333">{escape(text)}</text></g>'
    )
