"""Spending of one task: by model and by agent, from the ledger where it is there, or else from the journal."""

from collections.abc import Callable
from typing import Any

from orchestrator.budget.spend import Spend
from orchestrator.reports.history.plain import plain_amount
from orchestrator.reports.history.task import TaskHistory
from orchestrator.reports.history.uses import ModelUse


def spending_of(history: TaskHistory | None, booked: dict[str, Any]) -> dict[str, Any]:
    """Return the amounts of a task.

    Args:
        history: What the journal tells of the task; None for nothing.
        booked: What the ledger has of it, as `Spending.plain` returns it; a part of it, or nothing.
    """
    # The ledger knows published prices, and counts calls that were refused; the journal is there for every task.
    told = {} if history is None else _told(history)
    return {"by_model": {}, "by_worker": {}, "by_sub_task": {}, **plain_amount(Spend()), **told, **booked}


def _told(history: TaskHistory) -> dict[str, Any]:
    uses = history.model_uses
    sub_tasks = {attempt.sub_task: Spend() for attempt in history.attempts}
    for attempt in history.attempts:
        sub_tasks[attempt.sub_task] += attempt.spent
    return {
        **plain_amount(history.spent),
        "tool_calls": sum(len(attempt.tool_uses) for attempt in history.attempts),
        "by_model": _sums(uses, lambda use: use.model),
        "by_worker": _sums(uses, lambda use: use.agent),
        "by_sub_task": {name: plain_amount(amount) for name, amount in sub_tasks.items()},
    }


def _sums(uses: list[ModelUse], name_of: Callable[[ModelUse], str]) -> dict[str, Any]:
    sums: dict[str, Spend] = {}
    for use in uses:
        sums[name_of(use)] = sums.get(name_of(use), Spend()) + use.spent
    return {name: plain_amount(amount) for name, amount in sums.items()}
