"""Bounds: the largest number of model calls that a run can make. It follows from the limits."""

from dataclasses import dataclass

from orchestrator.agents.team import Team
from orchestrator.agents.worker import Worker
from orchestrator.budget.budget import Budget
from orchestrator.budget.limits import Limits
from orchestrator.planning.plan import Plan


@dataclass(frozen=True)
class Bounds:
    """The most model calls of a run, by purpose.

    Args:
        planning: Calls for plans: the first one, and one for each rejection, each with its repairs.
        round: Calls in one round, which executes every sub-task once.
        rounds: Most rounds, unless a human asks for another.
        revising: Calls for revisions, at most one after each round, each with its repairs.
        summary: Calls for the answer.
        requests: Most requests for one call, retries and fallback models included.
        sub_tasks: The number of sub-tasks that the bounds were computed for.
    """

    planning: int
    round: int
    rounds: int
    revising: int
    summary: int
    requests: int
    sub_tasks: int

    @property
    def calls(self) -> int:
        """All model calls together."""
        return self.planning + self.rounds * self.round + self.revising + self.summary

    def lines(self) -> list[str]:
        """Return the bounds as sentences."""
        return [
            f"planning: at most {self.planning:,} calls",
            f"work: at most {self.rounds:,} rounds of {self.round:,} calls for {self.sub_tasks:,} sub-tasks",
            f"revising: at most {self.revising:,} calls",
            f"the answer: {self.summary:,} call",
            f"together at most {self.calls:,} model calls, each of at most {self.requests:,} requests",
        ]


def bounds_of(team: Team, plan: Plan | None = None) -> Bounds:
    """Return the bounds of a run.

    A human who sends the run back at a steering review adds one round each time. Nothing else adds to the bounds.

    Args:
        team: The team, with its limits.
        plan: The plan; None for the largest one that the limits allow.
    """
    limits = team.limits
    repairs = limits.plan_repairs + 1
    costs = {
        name: _loop_of(worker, limits) + (repairs if worker.reviews else 0) for name, worker in team.workers.items()
    }
    # A revision may replace every sub-task by one for the most expensive worker, and fill the plan up.
    most = max(costs.values())
    size = limits.sub_tasks if plan is None or limits.revisions else len(plan.sub_tasks)
    first = sum(costs[task.target_agent] for task in plan.sub_tasks) if plan is not None else size * most
    rest = size * most
    return Bounds(
        planning=(limits.revisions + 1) * repairs,
        round=max(first, rest) if limits.rounds > 1 else first,
        rounds=limits.rounds,
        revising=limits.rounds * repairs,
        summary=1,
        requests=(team.calls.resilience.retries + 1) * (1 + len(team.calls.fallbacks)),
        sub_tasks=size,
    )


def _loop_of(worker: Worker, limits: Limits) -> int:
    """Return the calls of one attempt. A worker without tools is asked twice if its answer was truncated."""
    if worker.guest is not None:
        return 0  # the calls of its own models are counted, and not bounded
    steps = worker.steps or limits.steps
    return steps if worker.tools else 0 if worker.reviews else min(2, steps)


def explain_limits(team: Team) -> str:
    """Return every limit of a team's runs, and the bounds that follow from them."""
    limits, budget = team.limits, team.budget
    parts = [
        f"attempts at a sub-task: {limits.attempts}",
        f"steps (model calls) in an attempt: {limits.steps}",
        f"sub-tasks in a plan: {limits.sub_tasks}, at most {limits.depth or limits.sub_tasks} in a chain",
        f"changes of the plan: {limits.revisions}",
        f"rounds: {limits.rounds}",
        f"repairs of a malformed answer: {limits.plan_repairs}",
        f"sub-tasks at once: {limits.parallel_workers}",
        f"budget: {budget}{' (the default)' if budget == Budget.default() else ''}",
    ]
    limit_lines = "\n".join(f"  {part}" for part in parts)
    bound_lines = "\n".join(f"  {line}" for line in bounds_of(team).lines())
    return f"The limits of a run:\n{limit_lines}\nFrom these it follows:\n{bound_lines}"
