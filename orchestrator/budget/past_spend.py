"""Past spend: the tokens of earlier sub-tasks by worker, over all threads of a database. Forecasts are made from it.

One item for each worker holds the newest sub-tasks, so its size and the time to read it stay the same.
"""

import hashlib
from collections.abc import Collection, Mapping
from typing import Any

from langgraph.store.base import BaseStore, GetOp, PutOp

from orchestrator.budget.accounts import Accounts
from orchestrator.concurrency import Bridge
from orchestrator.persistence.namespaces import PAST_SPEND
from orchestrator.persistence.rows.pages import read_all

_MOST = 20  # sub-tasks of a worker: enough for a range, and a worker's tasks change with time

Uses = list[tuple[str, int]]
"""Sub-tasks, oldest first: an id that tells them apart, and the tokens."""


async def read_past(bridge: Bridge, store: BaseStore, workers: Collection[str]) -> dict[str, Uses]:
    """Return the newest sub-tasks of workers.

    Args:
        bridge: How to reach the store.
        store: Keeps the items.
        workers: The key of each worker, see `forecast.history_key`.
    """
    ops = [GetOp(PAST_SPEND, worker) for worker in workers]
    items: list[Any] = await bridge.batch(store, ops) if ops else []
    return {worker: _uses(item) for worker, item in zip(workers, items, strict=True)}


async def add_past(bridge: Bridge, store: BaseStore, uses: Mapping[str, Uses]) -> None:
    """Add sub-tasks of workers. Sub-tasks that are known already, as after a crash, are not added again."""
    before = await read_past(bridge, store, uses)
    # Two runs that end at the same moment can lose one another's: a forecast misses some of its twenty.
    changed = {worker: list((dict(before[worker]) | dict(new)).items())[-_MOST:] for worker, new in uses.items() if new}
    puts = [PutOp(PAST_SPEND, worker, {"uses": each}, index=False) for worker, each in changed.items()]
    if puts:
        await bridge.batch(store, puts)


async def forget_past(bridge: Bridge, store: BaseStore, thread_id: str) -> None:
    """Delete what is kept of the sub-tasks of a thread."""
    mark = _digest(thread_id)
    puts = []
    for item in await read_all(bridge, store, PAST_SPEND):
        uses = _uses(item)
        kept = [use for use in uses if not use[0].startswith(mark)]
        if len(kept) < len(uses):
            puts.append(PutOp(PAST_SPEND, item.key, {"uses": kept} if kept else None, index=False))
    if puts:
        await bridge.batch(store, puts)


def uses_of(accounts: Accounts, agent: str, thread_id: str, sub_tasks: Mapping[str, str]) -> Uses:
    """Return what sub-tasks of an agent have used, all their attempts together.

    Args:
        accounts: What the run spent.
        agent: The agent's name.
        thread_id: The thread.
        sub_tasks: The name of each sub-task that is unique on the thread, by its id.
    """
    row = accounts.rows.get(agent)
    tokens = dict.fromkeys(sub_tasks, 0)
    for by_task in row.spent.values() if row is not None else ():
        for task_id, spend in by_task.items():
            if task_id in tokens:
                tokens[task_id] += spend.tokens
    mark = _digest(thread_id)
    return [(mark + _digest(sub_tasks[task_id]), total) for task_id, total in tokens.items() if total]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _uses(item: Any) -> Uses:
    # Another version may have written another shape.
    uses = item.value.get("uses") if item is not None else None
    if not isinstance(uses, list):
        return []
    return [(use[0], use[1]) for use in uses if isinstance(use, list | tuple) and len(use) == 2 and _is_count(use[1])]


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value > 0
