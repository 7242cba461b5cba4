"""SharedMemory: the results of a thread's agents, kept in a LangGraph store.

Results are too large for the state, because a checkpoint repeats the whole state at every step. They live here, and the
state refers to them by key.

The view of a thread's memory is read once and follows this process's own writes. The thread's lease guarantees that no
other process writes. An entry is durable before `store` returns. It therefore marks the moment at which a sub-task
counts as executed: a worker that finds its own entry does not run again.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from types import NoneType
from typing import Any, Protocol, cast

from langgraph.store.base import BaseStore, GetOp
from langgraph.store.memory import InMemoryStore

from orchestrator.concurrency import AWAITING, BLOCKING, Bridge, run_blocking
from orchestrator.errors import ConfigError
from orchestrator.journal.fact import Fact
from orchestrator.journal.journal import Journal
from orchestrator.journal.record import Kind
from orchestrator.memory.entry import Entry
from orchestrator.memory.own_index import StoreIndex, index_of, put_entries, recall_beside
from orchestrator.memory.recall import LexicalIndex, Ranking, RecallIndex
from orchestrator.persistence.damage import UNREADABLE_ERRORS, unreadable_thread
from orchestrator.persistence.namespaces import namespace
from orchestrator.persistence.rows.pages import read_all, serves_loops
from orchestrator.validation import described, expect

_TICK_S = 1e-6


class StoredResult(Protocol):
    """A result of a worker, such as `orchestrator.Result`."""

    @property
    def text(self) -> str:
        """Text of the result."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the tools that made the result."""

    @property
    def tainted_by(self) -> tuple[str, ...]:
        """The sources from outside that the result rests on."""


class SharedMemory:
    """The memory of one thread.

    Args:
        store: Any LangGraph store; by default one that ends with the process.
        thread_id: The thread.
        index: An empty index for `recall`; by default the store's own index, or full text search where it has none.
        clock: Returns Unix time in seconds.

    Attributes:
        journal: The journal of the thread.
    """

    def __init__(
        self,
        store: BaseStore | None = None,
        thread_id: str = "alone",
        *,
        index: RecallIndex | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        expect((BaseStore, NoneType), store, "store", "a store of LangGraph, such as InMemoryStore()")
        self._store = InMemoryStore() if store is None else store
        self._thread_id = thread_id
        self._namespace = namespace(thread_id, "memory")
        self.journal = Journal(self._store, thread_id)
        self._entries: dict[str, Entry] = {}
        if index is None:
            index = StoreIndex(self._store, self._namespace) if index_of(self._store) else LexicalIndex()
        self._ranking = Ranking(index)
        self._clock = clock
        self._loaded = False
        self._newest = 0.0
        self._lock = threading.Lock()  # `graph.invoke` runs workers in threads

    # -- reading ---------------------------------------------------------------------------------------------

    async def load(self, bridge: Bridge) -> None:
        """Read the thread's entries into the view, once."""
        if self._loaded:
            return
        items = await read_all(bridge, self._store, self._namespace)
        entries = sorted(
            (_parsed(self._thread_id, item.key, item.value) for item in items), key=lambda e: (e.created, e.key)
        )
        with self._lock:  # what this process has written meanwhile is newer
            self._entries = {entry.key: entry for entry in entries} | self._entries
            self._newest = max(self._newest, *(entry.created for entry in entries), 0.0)
        self._loaded = True

    def seen(self, key: str) -> Entry | None:
        """Return an entry of the view, without reading the store."""
        return self._entries.get(key)

    async def fetch(self, bridge: Bridge, key: str) -> Entry | None:
        """Return an entry of the view, or of the store if the view is not loaded."""
        if (entry := self._entries.get(key)) is not None or self._loaded:
            return entry
        item = cast(Any, (await bridge.batch(self._store, [GetOp(self._namespace, key)]))[0])
        return None if item is None else _parsed(self._thread_id, key, item.value)

    def entries(self) -> list[Entry]:
        """Return all entries of the view, whatever their status, in the order of their last writing."""
        return list(self._entries.values())

    def results(self) -> list[Entry]:
        """Return all accepted results of the view, oldest first."""
        return [entry for entry in self.entries() if entry.is_result]

    async def rank(self, bridge: Bridge, query: str, k: int) -> list[Entry]:
        """Return the `k` accepted results of the view that fit a query best."""
        if len(results := self.results()) <= 1:
            return results[:k]
        # The index by words is SQLite too. Beside another store the loop may forbid it, as `langgraph dev` does.
        if self._ranking.is_quick and serves_loops(self._store):
            return self._ranking.best(self.results, query, k)
        # An embedder takes up to a second for each result, which must not hold up an event loop.
        return await recall_beside(bridge, partial(self._ranking.best, self.results, query, k))

    # -- writing ---------------------------------------------------------------------------------------------

    async def write(self, bridge: Bridge, *entries: Entry, facts: Sequence[Fact] = ()) -> None:
        """Write entries in one transaction. They are durable when it returns.

        Args:
            bridge: Reaches the store.
            entries: The entries.
            facts: What the thread's journal tells of them.
        """
        with self._lock:
            # A clock that was put back must not sort new entries before old ones.
            now = self._newest = max(self._clock(), self._newest + _TICK_S)
        stamped = [(entry if entry.created else entry.stamped(now)).sound() for entry in entries]
        told = [*_reversals(self._entries, stamped), *facts]
        await put_entries(bridge, self._store, self._namespace, stamped, journal=self.journal, facts=told)
        with self._lock:
            for entry in stamped:
                self._entries.pop(entry.key, None)  # so that a replaced entry moves to the end, where the newest are
                self._entries[entry.key] = entry

    async def retract_all_but(self, bridge: Bridge, keys: Collection[str]) -> None:
        """Accept the results under these keys and retract all others, in one transaction.

        Retracted results stay readable by key, but are not offered to agents. The outcome depends on `keys` alone, not
        on earlier retractions. After a kill, a different decision therefore leads to the memory that fits it. Drafts
        stay drafts: only a review accepts them. Results of earlier tasks of the thread stay as they are.
        """
        entries = [entry for entry in self.entries() if not entry.turn]
        retracted = [e.with_status("retracted") for e in entries if e.is_result and e.key not in keys]
        restored = [e.with_status("final") for e in entries if e.status == "retracted" and e.key in keys]
        if retracted or restored:
            await self.write(bridge, *retracted, *restored)

    async def clear(self, bridge: Bridge, kept: Collection[Entry] = ()) -> None:
        """Make these entries the whole memory, in one transaction, for another task on the same thread."""
        await self.load(bridge)
        with self._lock:
            former = self._entries
            now = self._newest = max(self._clock(), self._newest + _TICK_S)
            self._entries = {e.key: (e if e.created else e.stamped(now)).sound() for e in kept}
            changed = [entry for key, entry in self._entries.items() if former.get(key) != entry]
            gone = former.keys() - self._entries.keys()
        if changed or gone:
            await put_entries(bridge, self._store, self._namespace, changed, gone, journal=self.journal)

    # -- for users: blocking methods and their async twins -------------------------------------------------------

    def store(self, sub_task_id: str, result: str | StoredResult, **about: Any) -> None:
        """File a result under a sub-task's id.

        Args:
            sub_task_id: The sub-task that the result came from.
            result: What `Worker.execute` returned, or a text.
            about: Further fields of `Entry`, such as `agent`, `sources`, `trusted`.

        Raises:
            ConfigError: The result is neither.
        """
        run_blocking(self._store_result(BLOCKING, sub_task_id, result, about))

    async def astore(self, sub_task_id: str, result: str | StoredResult, **about: Any) -> None:
        """Async twin of `store`."""
        await self._store_result(AWAITING, sub_task_id, result, about)

    async def _store_result(
        self, bridge: Bridge, sub_task_id: str, result: str | StoredResult, about: dict[str, Any]
    ) -> None:
        entry = _entry_of(sub_task_id, result, about)
        await self.load(bridge)
        await self.write(bridge, entry)

    def get_recent(self, n: int = 5) -> list[Entry]:
        """Return the `n` newest accepted results, oldest first."""
        run_blocking(self.load(BLOCKING))
        return self.results()[-n:] if n > 0 else []

    async def aget_recent(self, n: int = 5) -> list[Entry]:
        """Async twin of `get_recent`."""
        await self.load(AWAITING)
        return self.results()[-n:] if n > 0 else []

    def all(self) -> list[Entry]:
        """Return all accepted results, oldest first."""
        run_blocking(self.load(BLOCKING))
        return self.results()

    async def aall(self) -> list[Entry]:
        """Async twin of `all`."""
        await self.load(AWAITING)
        return self.results()

    def recall(self, query: str, k: int = 3) -> list[Entry]:
        """Return the `k` accepted results that fit a query best: by meaning with an embedder, by words without."""
        run_blocking(self.load(BLOCKING))
        return run_blocking(self.rank(BLOCKING, query, k))

    async def arecall(self, query: str, k: int = 3) -> list[Entry]:
        """Async twin of `recall`."""
        await self.load(AWAITING)
        return await self.rank(AWAITING, query, k)

    def read(self, key: str) -> Entry | None:
        """Return an entry by key, whatever its status."""
        return run_blocking(self.fetch(BLOCKING, key))


def _reversals(seen: Mapping[str, Entry], entries: Iterable[Entry]) -> list[Fact]:
    """Return what the journal tells of results that are retracted, or accepted again.

    Args:
        seen: The entries so far, by key.
        entries: The entries that take their places.
    """
    facts: list[Fact] = []
    for entry in entries:
        before = seen.get(entry.key)
        if before is None or before.status == entry.status or "retracted" not in (before.status, entry.status):
            continue
        kind: Kind = "result_retracted" if entry.status == "retracted" else "result_restored"
        attempt = int(entry.outcome.get("attempt", 1))
        facts.append(Fact(kind, entry.sub_task_id, attempt, data={"result": entry.key}))
    return facts


def _parsed(thread_id: str, key: str, value: Any) -> Entry:
    try:
        return Entry.parse(key, value)
    except UNREADABLE_ERRORS as error:
        raise unreadable_thread(thread_id, error) from error


def _entry_of(sub_task_id: str, result: str | StoredResult, fields: dict[str, Any]) -> Entry:
    """Make the entry of a result.

    Raises:
        ConfigError: `result` is neither a text nor a result, or `Entry` has no such field.
    """
    if not isinstance(sub_task_id, str):
        raise ConfigError(f"a result is stored under the id of its sub-task, not under {described(sub_task_id)}")
    values: dict[str, Any] = {"key": sub_task_id, "sub_task_id": sub_task_id, "text": result}
    if not isinstance(result, str):
        try:
            values |= {"text": result.text, "sources": result.sources, "tainted_by": result.tainted_by}
        except AttributeError:
            raise ConfigError(f"store a Result or a text, not {described(result)}") from None
        values["trusted"] = not result.tainted_by
    if unknown := fields.keys() - Entry.__dataclass_fields__.keys():
        names = ", ".join(Entry.__dataclass_fields__)
        raise ConfigError(f"an entry has no field '{min(unknown)}': use one of {names}")
    return Entry(**{**values, **fields})
