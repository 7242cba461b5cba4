"""Ledgers: one for each thread of this process, and how a thread's ledger is begun for another task."""

import threading
from collections import OrderedDict
from collections.abc import Callable

from langgraph.store.base import BaseStore

from orchestrator.accounts import BUDGET_ROW, read_rows, row_op
from orchestrator.bridge import Bridge
from orchestrator.budget import Budget
from orchestrator.ledger import Ledger

_MOST_LEDGERS = 4096


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


class Ledgers:
    """The ledgers of this process, by thread; every invocation reads its own anew."""

    def __init__(self) -> None:
        self._ledgers: OrderedDict[str, Ledger] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, key: str, control: object, create: Callable[[], Ledger]) -> Ledger:
        """The ledger of this invocation; made when there is none. Never suspends."""
        with self._lock:
            found = self._ledgers.get(key)
            if found is None or found.control is not control:
                found = self._ledgers[key] = create()
                self._ledgers.move_to_end(key)
                while len(self._ledgers) > _MOST_LEDGERS:
                    self._ledgers.popitem(last=False)
            return found

    async def flush(self, bridge: Bridge, key: str) -> None:
        """Makes durable what a thread's ledger has not written yet."""
        with self._lock:
            found = self._ledgers.get(key)
        if found is not None:
            await found.flush(bridge)

    def drop(self, key: str) -> None:
        """Forgets a thread's ledger."""
        with self._lock:
            self._ledgers.pop(key, None)


LEDGERS = Ledgers()
"""One registry a process, as for rounds: the nodes of one invocation must meet."""
