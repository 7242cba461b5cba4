"""A plan beside the one before it: sub-tasks that were added, removed or changed."""

from collections.abc import Iterator
from typing import Any

from rich.text import Text

from orchestrator.control_characters import visible
from orchestrator.planning.plan import Plan
from orchestrator.planning.sub_task import SubTask
from orchestrator.text import normal_text

ADDED, REMOVED, CHANGED, SAME = "+", "-", "~", " "


def plan_before(subject: dict[str, Any]) -> Plan | None:
    """Return the plan that the one in question would replace; None for a first plan."""
    return Plan.parse(subject["before"]) if subject.get("before") else None


def plan_changes(before: Plan, after: Plan) -> Iterator[tuple[str, SubTask, Text]]:
    """Yield a sign, the sub-task and what became of it, for each sub-task of either plan, removed ones last."""
    for sub_task in after.sub_tasks:
        earlier = before.by_id.get(sub_task.id)
        if earlier is None:
            yield ADDED, sub_task, Text(visible(normal_text(sub_task.description)))
        elif changes := _changes(earlier, sub_task):
            yield CHANGED, sub_task, Text("; ").join(changes)
        else:
            yield SAME, sub_task, Text()
    for sub_task in before.sub_tasks:
        if sub_task.id not in after.by_id:
            yield REMOVED, sub_task, Text(visible(normal_text(sub_task.description)))


def _changes(before: SubTask, after: SubTask) -> list[Text]:
    changes = []
    if before.target_agent != after.target_agent:
        changes.append(Text(f"agent {visible(before.target_agent)} → {visible(after.target_agent)}"))
    if before.requires_approval != after.requires_approval:
        changes.append(Text("now needs your approval" if after.requires_approval else "needs no approval any more"))
    if set(before.depends_on) != set(after.depends_on):
        changes.append(Text(f"after {_names(before)} → {_names(after)}"))
    if before.output_schema != after.output_schema:
        changes.append(Text("another output schema"))
    if before.description != after.description:
        changes.append(Text(visible(normal_text(after.description))))
    return changes


def _names(sub_task: SubTask) -> str:
    return ", ".join(map(visible, sub_task.depends_on)) or "nothing"
