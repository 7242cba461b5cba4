"""The graph of a plan, live: status by shape and colour, agents, costs and questions.

Its colours are classes, which `reports/styles/timeline.css` takes from the page around it, light or dark.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orchestrator.planning.plan import Plan
from orchestrator.planning.sub_task import SubTask
from orchestrator.reports.escaping import escape
from orchestrator.reports.plan_layout import BoxSize, PlanLayout
from orchestrator.text import normal_text, shorten

_LARGE = BoxSize(200, 66, 48, 14)
_SMALL = BoxSize(104, 22, 40, 5)
_MOST_LARGE = 120  # sub-tasks; more of them would need a map
_LINE_CHARS = 31
_TITLE_CHARS = 400
_SMALL_TITLE_CHARS = 80
# Drawn and not written: fonts lack such signs, or show them as coloured pictures.
_SHAPES = {
    "succeeded": '<path d="M-5,0 L-1.5,4 L5,-4"/>',
    "failed": '<path d="M-4,-4 L4,4 M-4,4 L4,-4"/>',
    "running": '<path class="solid" d="M-3.5,-5 L5,0 L-3.5,5 z"/>',
    "waiting": '<path d="M0,-5.5 L5.5,0 L0,5.5 L-5.5,0 z"/><circle class="solid" r="1.4"/>',
    "skipped": '<path d="M-4,0 L4,0"/>',
    "interrupted": '<rect class="solid" x="-4" y="-4" width="8" height="8"/>',
    "retracted": '<path d="M-4,0 L4,0"/>',
}
_PENDING = '<circle r="4"/>'


@dataclass(frozen=True)
class NodeFacts:
    """The state of a sub-task so far.

    Args:
        status: Its status.
        cost: Tokens and dollars in words; empty for nothing yet.
        asked: The question to a human that is open; empty for none.
        is_critical: True if it belongs to the chain that decided the end.
    """

    status: str = "pending"
    cost: str = ""
    asked: str = ""
    is_critical: bool = False


def plan_graph(
    plan: Plan, facts: Mapping[str, NodeFacts], selected: str = "", link: Callable[[str], str] | None = None
) -> str:
    """Return the graph of a plan as an SVG element.

    Args:
        plan: The plan.
        facts: What has come of its sub-tasks, by id.
        selected: The sub-task that is marked.
        link: Returns where a sub-task leads; None for boxes that lead nowhere.
    """
    is_small = len(plan.sub_tasks) > _MOST_LARGE
    layout = PlanLayout.of(plan, _SMALL if is_small else _LARGE)
    arrows = "".join(
        f'<path class="arrow" d="{layout.arrow(dep, task.id)}"/>' for task in plan.sub_tasks for dep in task.depends_on
    )
    boxes = []
    for task in plan.sub_tasks:
        known = facts.get(task.id) or NodeFacts()
        box = _box(task, known, layout, is_small=is_small, is_selected=task.id == selected)
        boxes.append(f'<a href="{escape(link(task.id))}">{box}</a>' if link else box)
    return (
        f'<svg class="plan-graph" width="{layout.width}" height="{layout.height}" role="group" aria-label="plan">'
        '<defs><marker id="plan-tip" markerWidth="8" markerHeight="8" refX="7" refY="3" orient="auto">'
        f'<path d="M0,0 L7,3 L0,6 z"/></marker></defs>{arrows}{"".join(boxes)}</svg>'
    )


def _box(task: SubTask, facts: NodeFacts, layout: PlanLayout, *, is_small: bool, is_selected: bool) -> str:
    x, y = layout.corners[task.id]
    size = layout.size
    marks = ["node", f"is-{facts.status}", *(["critical"] if facts.is_critical else [])]
    names = " ".join([*marks, *(["selected"] if is_selected else [])])
    status = f"asks: {facts.asked}" if facts.asked else facts.status
    # A thousand boxes with their whole descriptions would be most of the page.
    about = shorten(normal_text(task.description), _SMALL_TITLE_CHARS if is_small else _TITLE_CHARS)
    whole = f"{task.id}, {task.target_agent}, {status}: {about}"
    parts = [
        f'<g class="{escape(names)}" transform="translate({x},{y})"><title>{escape(whole)}</title>',
        f'<rect width="{size.width}" height="{size.height}" rx="6"/>',
        f'<g class="sign" transform="translate({size.width - 13},{11 if is_small else 15})">',
        f"{_SHAPES.get(facts.status, _PENDING)}</g>",
    ]
    # A picture of its own cuts words that are wider than the box.
    parts.append(f'<svg width="{size.width - (24 if is_small else 4)}" height="{size.height}">')
    if is_small:
        parts.append(_text(7, 15, shorten(task.id, 13), "id"))
    else:
        approval = " · approval" if task.requires_approval else ""
        about = facts.cost or facts.status
        parts += [
            _text(9, 19, shorten(task.id, 24), "id"),
            _text(9, 36, shorten(normal_text(task.description), _LINE_CHARS), ""),
            _text(9, 54, shorten(f"{task.target_agent} · {about}{approval}", _LINE_CHARS), "dim"),
        ]
        if facts.asked:
            parts[-1] = _text(9, 54, shorten(f"asks you: {normal_text(facts.asked)}", _LINE_CHARS), "asks")
    return "".join(parts) + "</svg></g>"


def _text(x: int, y: int, text: str, name: str) -> str:
    return f'<text x="{x}" y="{y}" class="{name}">{escape(text)}</text>'
