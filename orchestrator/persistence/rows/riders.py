"""Riders: writes that need no transaction of their own, and ride on the next one of the database.

A process that is killed loses those that no transaction has taken yet, together with the work that they tell of.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from langgraph.store.base import BaseStore, PutOp


class Riders:
    """The waiting writes of one database, for all of its threads."""

    def __init__(self) -> None:
        self._waiting: list[PutOp] = []
        self._bound: dict[str, list[PutOp]] = {}
        self._lock = threading.Lock()

    def add(self, ops: Sequence[PutOp]) -> None:
        """Add writes to the next transaction."""
        with self._lock:
            self._waiting += ops

    def bind(self, task_id: str, ops: Sequence[PutOp]) -> None:
        """Add writes to the transaction that saves what a node returns.

        Args:
            task_id: LangGraph's id of the node's execution.
            ops: The writes. They take the place of those that an execution with this id has bound before.
        """
        with self._lock:
            # In place of an earlier execution's, which was interrupted and returned nothing.
            self._bound[task_id] = list(ops)

    @property
    def oldest(self) -> PutOp | None:
        """The write that waits the longest; None if no write waits."""
        return next(iter(self._waiting), None)

    @property
    def has_waiting(self) -> bool:
        """True if there are writes that no transaction has taken."""
        return bool(self._waiting)

    def forget(self) -> None:
        """Forget all writes: they are those of the process that this one was forked from."""
        self._waiting, self._bound, self._lock = [], {}, threading.Lock()

    @contextmanager
    def boarding(self, task_id: str = "", *, namespace: tuple[str, ...] = ()) -> Iterator[list[PutOp]]:
        """Take the waiting writes for the length of a transaction. If it fails, they wait for another one.

        Args:
            task_id: The node's execution whose writes the transaction saves.
            namespace: Take only the waiting writes to a thread's namespaces, which end as this one does.
        """
        with self._lock:
            taken, self._waiting = self._waiting, []
            if namespace:  # another store may be asked for one thread at a time
                self._waiting = [op for op in taken if op.namespace[-1] != namespace[-1]]
                taken = [op for op in taken if op.namespace[-1] == namespace[-1]]
            bound = self._bound.pop(task_id, [])
        try:
            yield [*taken, *bound]
        except BaseException:
            with self._lock:
                self._waiting[:0] = taken
                if bound:
                    self._bound[task_id] = bound
            raise


_BESIDE: WeakKeyDictionary[BaseStore, Riders] = WeakKeyDictionary()


def riders_of(part: Any) -> Riders:
    """Return the riders of a store. Those of a store that does not know of riders are kept beside it."""
    own = getattr(part, "riders", None)
    return own if isinstance(own, Riders) else _BESIDE.setdefault(part, Riders())


def keeps_journal(store: BaseStore) -> bool:
    """True for a store that numbers the records of journals by itself, as the engine's `Store` does."""
    return isinstance(getattr(store, "riders", None), Riders)
