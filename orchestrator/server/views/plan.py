"""The graph of a plan on the page, and what has come of each sub-task."""

from collections.abc import Callable, Mapping

from markupsafe import Markup

from orchestrator.budget.spend import Spend
from orchestrator.planning.plan import Plan
from orchestrator.reports.history.task import TaskHistory
from orchestrator.reports.plan_graph import NodeFacts, plan_graph
from orchestrator.reports.timeline.bars import Timeline
from orchestrator.reports.wording import amount_text
from orchestrator.runs.run import Run


def plan_picture(
    plan: Plan,
    run: Run,
    task: TaskHistory | None,
    timeline: Timeline | None,
    selected: str,
    link: Callable[[str], str],
) -> Markup:
    """Return the graph of a plan.

    Args:
        plan: The plan.
        run: The state of the thread.
        task: What happened; None for a thread without a journal.
        timeline: The timeline of the task; None for a thread without a journal.
        selected: The sub-task that is marked.
        link: Returns where a sub-task leads.
    """
    return Markup(plan_graph(plan, node_facts(plan, run, task, timeline), selected, link))


def node_facts(plan: Plan, run: Run, task: TaskHistory | None, timeline: Timeline | None) -> Mapping[str, NodeFacts]:
    """Return what has come of each sub-task of a plan; see `plan_picture`."""
    statuses: dict[str, str] = {row.id: row.status for row in timeline.rows} if timeline is not None else {}
    # What the state of the thread says of an end goes before the journal, whose last records may still be on their way.
    statuses |= {name: outcome.status for name, outcome in run.outcomes.items()}
    on_path = {link.row for link in timeline.path} if timeline is not None else set()
    asked = {review.sub_task_id: review.question for review in run.reviews if review.sub_task_id}
    costs: dict[str, Spend] = {}
    for attempt in task.attempts if task is not None else ():
        costs[attempt.sub_task] = costs.get(attempt.sub_task, Spend()) + attempt.spent
    return {
        each.id: NodeFacts(
            "waiting" if each.id in asked else statuses.get(each.id, "pending"),
            amount_text(cost) if (cost := costs.get(each.id)) and cost.tokens else "",
            asked.get(each.id, ""),
            each.id in on_path,
        )
        for each in plan.sub_tasks
    }
