"""Rows of a ledger in the store: one for each agent, and one for the budget. Stored names keep their form."""

from collections.abc import Mapping, Sequence
from typing import Any

from langgraph.store.base import BaseStore, PutOp

from orchestrator.budget.accounts import Row
from orchestrator.budget.budget import Budget
from orchestrator.budget.saved.ledger_rows import BUDGET_ROW, LEDGER, read_rows
from orchestrator.concurrency import Bridge
from orchestrator.journal.fact import Fact
from orchestrator.journal.journal import Journal
from orchestrator.persistence.namespaces import namespace
from orchestrator.persistence.rows.pages import delete_all


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


def row_op(thread_id: str, key: str, value: dict[str, Any] | None) -> PutOp:
    """Return the operation that writes a row, or deletes it if the value is None."""
    # LangGraph 1.2: a store with an embedder indexes every item for which `index` is left out.
    return PutOp(namespace(thread_id, LEDGER), key, value, index=False)


def models_op(thread_id: str, value: Mapping[str, Any], models: Mapping[str, Any]) -> PutOp:
    """Return the operation that writes the row of the budget with other models.

    Args:
        thread_id: The thread.
        value: The row as it is.
        models: The models that the run asks, JSON-plain.
    """
    return row_op(thread_id, BUDGET_ROW, {**value, "models": dict(models)})


async def forget_ledger(bridge: Bridge, store: BaseStore, thread_id: str) -> None:
    """Delete all rows of a thread."""
    await delete_all(bridge, store, namespace(thread_id, LEDGER))


async def begin_ledger(
    bridge: Bridge,
    store: BaseStore,
    thread_id: str,
    budget: Budget,
    run: str,
    also: Sequence[PutOp] = (),
    models: Mapping[str, Any] | None = None,
    facts: Sequence[Fact] = (),
) -> dict[str, Any]:
    """Delete the rows of an earlier task on the thread and write the budget of a new run.

    Do nothing if the budget's row is already of this run, as it is when a run begins again after a crash.

    Args:
        bridge: How to reach the store.
        store: Keeps the rows.
        thread_id: The thread.
        budget: The limits of the run.
        run: A name of the run that is unique on the thread.
        also: Further operations that happen once at the start of the run, in the same transaction.
        models: The models that the run asks, JSON-plain.
        facts: What the journal tells of the beginning.

    Returns:
        The models of the earlier task; empty if they are not known.
    """
    rows = await read_rows(bridge, store, thread_id)
    budget_row = rows.pop(BUDGET_ROW, None)
    former: dict[str, Any] = (budget_row or {}).get("models") or {}
    if budget_row is not None and budget_row.get("run") == run:
        return former
    deletions = [row_op(thread_id, key, None) for key in rows]
    value: dict[str, Any] = {"budget": budget.plain(), "run": run} | ({"models": dict(models)} if models else {})
    ops = [*deletions, row_op(thread_id, BUDGET_ROW, value), *also]
    await Journal(store, thread_id).write(bridge, ops, *facts)
    return former
