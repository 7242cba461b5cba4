"""RowWatch: tells running work of rows of the store that other processes write.

One daemon thread serves all listeners of a database. It asks SQLite twice a second whether another connection has
written anything, which takes a few microseconds, and reads the rows of all listeners at once if one has. A store that
cannot tell is read each time. The thread ends when nobody listens any more.

A busy run has written its notes for the journal between two looks. The watch writes those of a run that waits.
"""

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from langgraph.store.base import BaseStore, GetOp, Item

from orchestrator.forks import forget_in_children
from orchestrator.logs import logger
from orchestrator.persistence.rows.riders import keeps_journal, riders_of

POLL_S = 0.5

OnRow = Callable[[Mapping[str, Any]], object]
_log = logger(__name__)


@dataclass(frozen=True, eq=False)
class _Listener:
    namespace: tuple[str, ...]
    key: str
    on_row: OnRow


class RowWatch:
    """The rows that running work waits for.

    Args:
        store: Any LangGraph store.
    """

    def __init__(self, store: BaseStore) -> None:
        # Weakly, for `watch_of`. Whoever listens keeps the store.
        self._store = weakref.ref(store)
        self.forget_parent()
        forget_in_children(self)

    def forget_parent(self) -> None:
        """Begin anew: a forked child has neither the thread nor the work that listens."""
        self._seen: object = None
        self._rider: object = None
        self._is_stale = False
        self._listeners: list[_Listener] = []
        self._is_due = threading.Event()
        self._lock = threading.Lock()
        self._is_served = False

    @contextlib.contextmanager
    def listening(
        self, namespace: tuple[str, ...], key: str, on_row: OnRow, *, only_changes: bool = False
    ) -> Iterator[None]:
        """Call a function with the value of a row, inside the block, when the row is there and after changes.

        The function is called on a thread of the watch, perhaps several times with the same value.

        Args:
            namespace: The row's namespace.
            key: The row's key.
            on_row: The function.
            only_changes: A row that is older than the listener need not be told, which spares the store a reading.
        """
        listener = _Listener(namespace, key, on_row)
        with self._lock:
            self._listeners.append(listener)
            self._is_stale = self._is_stale or not only_changes
            if not self._is_served:
                self._is_served = True
                threading.Thread(target=self._serve, name="orchestrator-watch", daemon=True).start()
        try:
            yield
        finally:
            with self._lock:
                if listener in self._listeners:  # a forked child has forgotten it
                    self._listeners.remove(listener)

    def look(self) -> None:
        """Read the rows at once. Call this after writing a row in this process."""
        with self._lock:
            self._is_stale = True
        self._is_due.set()

    def _serve(self) -> None:
        while True:
            self._is_due.wait(POLL_S)
            self._is_due.clear()
            with self._lock:
                listeners, is_stale = list(self._listeners), self._is_stale
                self._is_stale = False  # from here on, a new listener or row is for the next look
                if not listeners:
                    self._is_served = False
                    return
            try:
                self._write_riders()
                self._tell(listeners, is_stale)
            except Exception as error:  # noqa: BLE001 - a database that is locked now can be read the next time
                with self._lock:
                    self._is_stale = True
                    is_ending = not self._listeners  # and perhaps the event loop of a store with it
                if not is_ending:
                    _log.warning("the database could not be watched: %s", error)

    def _write_riders(self) -> None:
        """Write what has waited for a transaction since the last look, such as the beginning of a request that hangs.

        Whoever follows the run in another process would not see it otherwise.
        """
        if (store := self._store()) is None or not keeps_journal(store):
            return
        riders = riders_of(store)
        oldest = riders.oldest
        if oldest is None or oldest is not self._rider:
            self._rider = oldest
            return
        # The store's own transaction takes the rest along. Without an operation it would be a reading.
        with riders.boarding() as ops:
            if ops:
                store.batch(ops)

    def _tell(self, listeners: list[_Listener], is_stale: bool) -> None:
        if (store := self._store()) is None:
            return
        changes = getattr(store, "foreign_changes", object)()  # an object() is always new
        if changes == self._seen and not is_stale:
            return
        rows = store.batch([GetOp(each.namespace, each.key) for each in listeners])
        # The number from before the reading: what is written meanwhile is another change.
        self._seen = changes
        for listener, row in zip(listeners, cast("list[Item | None]", rows), strict=True):
            if row is not None:
                listener.on_row(row.value)


# One watch for a store, whoever asks: a run of a bare graph hears at once what its own process writes.
_WATCHES: "weakref.WeakKeyDictionary[BaseStore, RowWatch]" = weakref.WeakKeyDictionary()


def watch_of(store: BaseStore) -> RowWatch:
    """Return the watch of a store, in this process."""
    watch = _WATCHES.get(store)
    return _WATCHES.setdefault(store, RowWatch(store)) if watch is None else watch
