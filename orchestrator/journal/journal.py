"""Journal: writes what happens on one thread.

Facts are written in the same transaction as the thing that they tell of: an outcome with its result, a decision, spent
tokens. Everything else is noted, and rides on the next transaction of the database.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from langgraph.store.base import BaseStore, Item, PutOp

from orchestrator.concurrency import Bridge
from orchestrator.journal.fact import Fact
from orchestrator.journal.numbering import write_numbered
from orchestrator.persistence.namespaces import BODIES, JOURNAL, namespace
from orchestrator.persistence.rows.inserts import insert_if_absent
from orchestrator.persistence.rows.riders import keeps_journal, riders_of


class Journal:
    """The journal of one thread.

    Args:
        store: The store of the thread; any LangGraph store.
        thread_id: The thread.
    """

    def __init__(self, store: BaseStore, thread_id: str) -> None:
        self._store = store
        self._thread_id = thread_id
        self._place = namespace(thread_id, JOURNAL)
        self._bodies_place = namespace(thread_id, BODIES)
        self._riders = riders_of(store)

    def ops(self, *facts: Fact) -> list[PutOp]:
        """Return the writes of facts, for a transaction of the caller's; see `write`."""
        return [op for fact in facts for op in fact.ops(self._place, self._bodies_place)]

    def note(self, fact: Fact) -> None:
        """Tell a fact with the next transaction. Never blocks and never fails."""
        self._riders.add(fact.ops(self._place, self._bodies_place))

    async def tell(self, bridge: Bridge, saver: Any, task_id: str, facts: Sequence[Fact]) -> None:
        """Tell facts in the transaction that saves what a node returns; at once, where the saver has none for them.

        Args:
            bridge: Reaches the store.
            saver: The checkpointer of the run.
            task_id: LangGraph's id of the node's execution, which is the same when the node runs again after a crash.
            facts: The facts.
        """
        if task_id and getattr(saver, "riders", None) is self._riders:
            self._riders.bind(task_id, self.ops(*facts))
            return
        # A kill before the checkpoint makes the node tell them again, under the same keys.
        keyed = (replace(fact, key=fact.key or f"{task_id} {fact.kind}") for fact in facts)
        await self.write(bridge, (), *keyed)

    async def write(self, bridge: Bridge, ops: Sequence[PutOp], *facts: Fact) -> None:
        """Carry out writes, and tell facts and what was noted before, in one transaction.

        Args:
            bridge: Reaches the store.
            ops: Writes to other namespaces of the store.
            facts: The facts that these writes make true.
        """
        told = self.ops(*facts)
        if keeps_journal(self._store):
            await bridge.batch(self._store, [*ops, *told])  # the store takes the riders along by itself
            return
        with self._riders.boarding(namespace=self._place) as riders:
            await write_numbered(bridge, self._store, self._thread_id, ops, [*riders, *told])

    async def insert(self, bridge: Bridge, op: PutOp, *facts: Fact) -> Item | None:
        """Insert a value, tell facts of it, and return None; or return the item that has its key already."""
        if keeps_journal(self._store):
            return await insert_if_absent(bridge, self._store, op, self.ops(*facts))
        # Another store cannot do both at once. A kill in between leaves a value that nothing tells of.
        standing = await insert_if_absent(bridge, self._store, op)
        if standing is None:
            await self.write(bridge, (), *facts)
        return standing

    async def flush(self, bridge: Bridge) -> None:
        """Write what was noted and has not been written yet."""
        if not self._riders.has_waiting:
            return
        if not keeps_journal(self._store):
            await self.write(bridge, ())
            return
        with self._riders.boarding() as ops:  # of all threads: one transaction serves them
            if ops:
                await bridge.batch(self._store, ops)
