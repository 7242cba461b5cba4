"""A plan as text: a table for people and models, and a Mermaid flowchart."""

from collections.abc import Mapping

from orchestrator.planning.dependencies import Dependencies
from orchestrator.planning.outcome import Outcome
from orchestrator.planning.status_colours import FILLS
from orchestrator.text import normal_text, shorten

_MOST_LABEL = 48


def plan_table(plan: Dependencies, outcomes: Mapping[str, Outcome]) -> str:
    """Return the plan as a plain-text table."""
    rows = [("id", "agent", "needs", "approval", "status", "description")]
    for task in plan.sub_tasks:
        outcome = outcomes.get(task.id)
        rows.append(
            (
                task.id,
                task.target_agent,
                " ".join(task.depends_on) or "-",
                "yes" if task.requires_approval else "",
                outcome.status if outcome else "pending",
                normal_text(task.description),  # a line end would draw a row of its own
            )
        )
    # The last column is not padded.
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[5]]) for row in rows
    )


def plan_mermaid(plan: Dependencies, outcomes: Mapping[str, Outcome]) -> str:
    """Return the plan as a Mermaid flowchart. Sub-tasks with an outcome are coloured by its status."""
    lines = ["graph TD"]
    for task in plan.sub_tasks:
        # A double quote ends a label in Mermaid.
        label = shorten(task.description, _MOST_LABEL).replace('"', "'").replace("\n", " ")
        lines.append(f'    {_node(task.id)}["{task.id} · {task.target_agent}<br/>{label}"]')
        lines += [f"    {_node(dep)} --> {_node(task.id)}" for dep in task.depends_on]
    for task_id, outcome in outcomes.items():
        if task_id in plan.by_id and (fill := FILLS.get(outcome.status)):
            lines.append(f"    style {_node(task_id)} fill:{fill}")
    return "\n".join(lines)


def _node(task_id: str) -> str:
    # Mermaid's parser stumbles over words such as `end`, and over dashes.
    return "n_" + task_id.replace("-", "__")
