"""Ledgers: one for each thread of this process, and how a thread's ledger is begun for another task."""

from collections.abc import Iterator, Mapping
from typing import Any

from langgraph.store.base import BaseStore, PutOp

from orchestrator.budget.accounts import Row
from orchestrator.budget.budget import Budget
from orchestrator.budget.spend import Spend
from orchestrator.concurrency import Bridge
from orchestrator.persistence.namespaces import delete_all, namespace, read_all

BUDGET_ROW = "budget"
_KIND = "ledger"


Amount = tuple[str, str, Spend]
"""The id of a sub-task, the booked name of a model, and what was spent on both."""


def row_value(row: Row, seconds: float) -> dict[str, Any]:
    """Return a row as it is stored.

    Args:
        row: Amounts spent and reserved by one agent.
        seconds: Seconds that the run has been running.
    """
    spent = {model: {task: spend.plain() for task, spend in tasks.items()} for model, tasks in row.spent.items()}
    value: dict[str, Any] = {"spent": spent, "seconds": round(seconds, 3)}
    if row.open:
        value["open"] = {r.id: [r.account.sub_task_id, r.model, *r.worst.plain()] for r in row.open.values()}
    return value


def amounts_of(value: Mapping[str, Any]) -> Iterator[Amount]:
    """Yield the amounts of a stored row. A reservation that was never settled counts as spent."""
    for model, tasks in value.get("spent", {}).items():
        for task, numbers in tasks.items():
            yield task, model, Spend.parse(numbers)
    yield from reserved_in(value)


def reserved_in(value: Mapping[str, Any]) -> Iterator[Amount]:
    """Yield the amounts of a stored row that were reserved and never settled."""
    for task, model, *numbers in value.get("open", {}).values():
        yield task, model, Spend.parse(numbers)


def row_op(thread_id: str, key: str, value: dict[str, Any] | None) -> PutOp:
    """The operation that writes or deletes a row."""
    return PutOp(namespace(thread_id, _KIND), key, value, index=False)


async def read_rows(bridge: Bridge, store: BaseStore, thread_id: str) -> dict[str, dict[str, Any]]:
    """All rows of a thread, by agent; the budget's own row is among them."""
    return {item.key: item.value for item in await read_all(bridge, store, namespace(thread_id, _KIND))}


async def forget_ledger(bridge: Bridge, store: BaseStore, thread_id: str) -> None:
    """Deletes all rows of a thread."""
    await delete_all(bridge, store, namespace(thread_id, _KIND))


async def begin_ledger(bridge: Bridge, store: BaseStore, thread_id: str, budget: Budget, run: str) -> None:
    """Starts anew for another task on a thread; not for the same run, begun again after a crash.

    Args:
        bridge: How to reach the store.
        store: Where the ledger is kept.
        thread_id: The thread.
        budget: The limits of the run.
        run: What tells this run from another on the same thread.
    """
    rows = await read_rows(bridge, store, thread_id)
    before = rows.pop(BUDGET_ROW, None)
    if before is not None and before.get("run") == run:
        return
    gone = [row_op(thread_id, key, None) for key in rows]
    await bridge.batch(store, [*gone, row_op(thread_id, BUDGET_ROW, {"budget": budget.plain(), "run": run})])
