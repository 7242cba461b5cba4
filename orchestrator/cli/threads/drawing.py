"""A plan drawn in a terminal: a tree in which every sub-task stands once, below the last one that it waits for."""

from collections.abc import Iterator, Mapping

from rich.text import Text

from orchestrator.planning.outcome import Outcome
from orchestrator.planning.plan import Plan
from orchestrator.planning.status_colours import TERMINAL_STYLES
from orchestrator.planning.sub_task import SubTask
from orchestrator.text import normal_text, shorten

_SIGNS = {"succeeded": "✔", "failed": "✘", "running": "▶", "waiting": "?", "skipped": "-", "pending": "·"}
_PLAIN_SIGNS = {**_SIGNS, "succeeded": "+", "failed": "x", "running": ">", "pending": "."}
_LEAST_DESCRIPTION = 16


def drawn_plan(
    plan: Plan, statuses: Mapping[str, str], width: int | None = None, *, is_unicode: bool = True
) -> Iterator[Text]:
    """Yield the lines of the drawing.

    Args:
        plan: The plan.
        statuses: The statuses of sub-tasks; those without one are pending.
        width: Columns of the terminal; None to cut nothing off.
        is_unicode: True if the terminal has lines and signs.
    """
    below: dict[str, list[SubTask]] = {}
    for task in plan.sub_tasks:
        # The deepest dependency is the one that is waited for the longest, as far as the plan tells.
        last = max(task.depends_on, key=lambda dep: plan.depths[dep], default="")
        below.setdefault(last, []).append(task)
    signs, lines = (_SIGNS, ("├─ ", "└─ ", "│  ")) if is_unicode else (_PLAIN_SIGNS, ("|- ", "`- ", "|  "))

    def branch(parent: str, prefix: str) -> Iterator[Text]:
        tasks = below.get(parent, [])
        for task in tasks:
            is_last = task is tasks[-1]
            own, deeper = ("", "") if not parent else (lines[is_last], "   " if is_last else lines[2])
            status = statuses.get(task.id, "pending")
            others = [dep for dep in task.depends_on if dep != parent]
            yield _line(prefix + own, signs[status], task, status, others, width)
            yield from branch(task.id, prefix + deeper)

    yield from branch("", "")


def _line(prefix: str, sign: str, task: SubTask, status: str, others: list[str], width: int | None) -> Text:
    style = TERMINAL_STYLES.get(status, "")  # type: ignore[call-overload] # "pending" has no colour
    attempt = f" ({task.attempt})" if task.attempt > 1 else ""
    notes = [f"after {' '.join(others)} too"] * bool(others) + ["you approve"] * task.requires_approval
    line = Text.assemble(prefix, (sign, style), f" {task.id}{attempt}  ", (status, style), f"  {task.target_agent}")
    if notes:
        line.append(f"  {', '.join(notes)}", "dim")
    description = normal_text(task.description)
    if width is None:
        return line.append(f"  {description}")
    if (room := width - line.cell_len - 2) >= _LEAST_DESCRIPTION:
        line.append(f"  {shorten(description, room)}")
    line.truncate(width, overflow="ellipsis")
    return line


def statuses_of(plan: Plan, outcomes: Mapping[str, Outcome], waiting: frozenset[str]) -> dict[str, str]:
    """Return the status of each sub-task.

    Args:
        plan: The plan.
        outcomes: The outcomes by sub-task.
        waiting: The sub-tasks that wait for a human.
    """
    ended = {task_id: str(outcome.status) for task_id, outcome in outcomes.items()}
    return {task.id: "waiting" if task.id in waiting else ended.get(task.id, "pending") for task in plan.sub_tasks}
