"""Rules of a sound plan."""

from collections import Counter
from collections.abc import Collection

from orchestrator.planning.dependencies import Dependencies, cycle_in


def broken_rules(
    plan: Dependencies, agents: Collection[str], *, most: int | None = None, depth: int | None = None
) -> list[str]:
    """Return every broken rule as a sentence that names the culprit.

    Args:
        plan: The plan.
        agents: Names of the workers.
        most: Largest number of sub-tasks allowed; None for no bound.
        depth: Most sub-tasks in a chain of dependencies; None for no bound.
    """
    if not plan.sub_tasks:
        return ["the plan is empty: it needs at least one sub-task"]
    # All of them at once: a model gets few repairs.
    problems: list[str] = []
    if most is not None and len(plan.sub_tasks) > most:
        problems.append(f"the plan has {len(plan.sub_tasks)} sub-tasks, the limit is {most}")
    uses = Counter(task.id for task in plan.sub_tasks)
    for task_id, count in uses.items():
        problems += [f"sub-task id '{task_id}' is used more than once"] * (count - 1)
    for task in plan.sub_tasks:
        if task.target_agent not in agents:
            names = ", ".join(sorted(agents))
            problems.append(f"sub-task '{task.id}' names the unknown agent '{task.target_agent}' (there are: {names})")
        if task.id in task.depends_on:
            problems.append(f"sub-task '{task.id}' depends on itself")
        problems += [
            f"sub-task '{task.id}' depends on '{dep}', which is not in the plan"
            for dep in dict.fromkeys(task.depends_on)  # one problem, however often it is named
            if dep not in uses
        ]
    if cycle := cycle_in(plan.sub_tasks):
        problems.append("the dependencies form a cycle: " + " -> ".join(cycle))
    # Only a plan without cycles and unknown dependencies has depths.
    if not problems and depth is not None and plan.depth > depth:
        problems.append(f"the longest chain of dependencies has {plan.depth} sub-tasks, the limit is {depth}")
    return problems
