"""Routing: the edges out of the supervisor, as pure functions of the state."""

from typing import Any

from langgraph.graph import END
from langgraph.types import Send

from orchestrator.graph.payload import Payload
from orchestrator.graph.state import State
from orchestrator.planning.plan import Plan


def after_supervisor(state: State) -> str | list[Send]:
    """Return a gate, the summary, the end, or one Send for each unfinished sub-task."""
    phase = state.get("phase", "end")
    if phase == "end":
        return END
    return assignments(state) if phase == "work" else phase


def unfinished(plan: Plan, outcomes: dict[str, Any]) -> list[str]:
    """Return the ids without a success under their present key, in topological order.

    Among sub-tasks of one depth, the one with the longest chain of dependents comes first.
    """
    # A result under another key belongs to an earlier version of the sub-task.
    open_ids = [
        task_id
        for task_id in plan.order
        if (outcome := outcomes.get(task_id)) is None
        or outcome["key"] != plan.keys[task_id]
        or outcome["status"] != "succeeded"
    ]
    # `graph.invoke` runs nodes in a limited pool of threads. In topological order, a waiting sub-task never keeps a
    # thread from one that it waits for.
    return sorted(open_ids, key=lambda task_id: (plan.depths[task_id], -plan.ranks[task_id]))


def assignments(state: State) -> list[Send]:
    """Return the round: every unfinished sub-task at once, each with all that its worker node needs."""
    plan = Plan.parse(state["plan"])
    outcomes = state.get("outcomes") or {}
    sent = unfinished(plan, outcomes)
    sends = []
    for task_id in sent:
        sub_task = plan.by_id[task_id]
        # A sub-task that runs again only because its dependencies changed has no attempt before this one.
        is_retry = task_id in outcomes and outcomes[task_id].get("attempt", 1) < sub_task.attempt
        payload = Payload(
            sub_task=sub_task,
            key=plan.keys[task_id],
            needs={dep: plan.keys[dep] for dep in sub_task.depends_on},
            rank=plan.ranks[task_id],
            round=state.get("round", 0),
            memory_id=state["memory_id"],
            done=tuple(dep for dep in sub_task.depends_on if dep not in sent),
            auto_approve=bool(state.get("unattended")),
            previous=outcomes[task_id]["key"] if is_retry else "",
            more_rounds=state.get("more_rounds", 0),
            task_number=state.get("task_number", 1),
        )
        sends.append(Send(sub_task.target_agent, payload.plain()))
    return sends
