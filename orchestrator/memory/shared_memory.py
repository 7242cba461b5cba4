"""SharedMemory: what agents tell one another, kept in a LangGraph store.

Results are too large for the state (a checkpoint repeats the whole state at every step), so they live here and the
state refers to them by key. An entry knows where it came from and whether its text can be trusted.

One view of a thread's memory is read once and kept up to date by what this process writes; the thread's lease makes
sure that nobody else writes. Writing is durable before `store` returns, so an entry is also the moment at which a
sub-task counts as executed: a worker that finds its own entry does not run again.
"""

import threading
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Protocol, cast

from langgraph.store.base import BaseStore, GetOp, PutOp
from langgraph.store.memory import InMemoryStore

from orchestrator.concurrency import AWAITING, BLOCKING, Bridge, run_blocking
from orchestrator.errors import ConfigError
from orchestrator.memory.entry import Entry
from orchestrator.memory.recall import LexicalIndex, Ranking, RecallIndex
from orchestrator.persistence.namespaces import namespace, read_all


class StoredResult(Protocol):
    """A result of a worker, such as `orchestrator.Result`."""

    @property
    def text(self) -> str:
        """The result itself."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the tools that it was made with."""

    @property
    def tainted_by(self) -> tuple[str, ...]:
        """The sources from outside that it rests on."""


class SharedMemory:
    """The memory of one thread.

    Args:
        store: Any LangGraph store; None for one that ends with the process.
        thread_id: The thread.
        index: How `recall` finds entries; by default full text search.
        clock: Gives Unix time in seconds.
    """

    def __init__(
        self,
        store: BaseStore | None = None,
        thread_id: str = "alone",
        *,
        index: RecallIndex | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = InMemoryStore() if store is None else store
        self._namespace = namespace(thread_id, "memory")
        self._entries: dict[str, Entry] = {}
        self._ranking = Ranking(index or LexicalIndex())
        self._clock = clock
        self._loaded = False
        self._lock = threading.Lock()  # `graph.invoke` runs workers in threads

    # -- reading ---------------------------------------------------------------------------------------------

    async def load(self, bridge: Bridge) -> None:
        """Reads the thread's entries, once."""
        if self._loaded:
            return
        items = await read_all(bridge, self._store, self._namespace)
        entries = sorted((Entry.parse(item.key, item.value) for item in items), key=lambda e: (e.created, e.key))
        with self._lock:
            self._entries = {entry.key: entry for entry in entries} | self._entries
        self._loaded = True

    def seen(self, key: str) -> Entry | None:
        """An entry of the view as it stands, without reading the store."""
        return self._entries.get(key)

    async def fetch(self, bridge: Bridge, key: str) -> Entry | None:
        """The entry of this key; asks the store when the view has not got it."""
        if (entry := self._entries.get(key)) is not None or self._loaded:
            return entry
        item = cast(Any, (await bridge.batch(self._store, [GetOp(self._namespace, key)]))[0])
        return None if item is None else Entry.parse(key, item.value)

    def entries(self) -> list[Entry]:
        """Return all entries of the view, whatever their status, in the order of their last writing."""
        return list(self._entries.values())

    def results(self) -> list[Entry]:
        """All accepted results in the order in which they came to be."""
        return [entry for entry in self.entries() if entry.is_result]

    async def rank(self, bridge: Bridge, query: str, k: int) -> list[Entry]:
        """The `k` accepted results that fit the query best; an embedder takes its time, so not on the event loop."""
        if len(results := self.results()) <= 1:
            return results[:k]
        return await bridge.offload(partial(self._ranking.best, self.results, query, k))

    # -- writing ---------------------------------------------------------------------------------------------

    async def write(self, bridge: Bridge, *entries: Entry) -> None:
        """Writes entries in one transaction; durable when it returns."""
        now = self._clock()
        stamped = [entry if entry.created else entry.stamped(now) for entry in entries]
        await bridge.batch(self._store, [PutOp(self._namespace, e.key, e.plain()) for e in stamped])
        with self._lock:
            for entry in stamped:
                self._entries.pop(entry.key, None)  # to its end: the newest results are the last ones
                self._entries[entry.key] = entry

    async def retract_all_but(self, bridge: Bridge, keys: Collection[str]) -> None:
        """Makes the results under these keys the accepted ones, in one transaction.

        Other accepted results are withdrawn: they stay readable by key, and are offered to nobody. Withdrawn ones
        under these keys come back. What was withdrawn before makes no difference to how it ends, so whoever is killed
        here and then decides otherwise ends up with what fits the new decision. Drafts stay drafts: only their review
        makes results of them.
        """
        known = self.entries()
        gone = [e.with_status("retracted") for e in known if e.is_result and e.key not in keys]
        back = [e.with_status("final") for e in known if e.status == "retracted" and e.key in keys]
        if gone or back:
            await self.write(bridge, *gone, *back)

    async def clear(self, bridge: Bridge) -> None:
        """Forgets everything, for another task on the same thread."""
        await self.load(bridge)
        with self._lock:
            gone, self._entries = self._entries, {}
        if gone:
            await bridge.batch(self._store, [PutOp(self._namespace, key, None) for key in gone])

    # -- the interface of the brief, and its async twins ---------------------------------------------------------

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
        """The `n` newest results, oldest of them first."""
        run_blocking(self.load(BLOCKING))
        return self.results()[-n:] if n > 0 else []

    async def aget_recent(self, n: int = 5) -> list[Entry]:
        """Async twin of `get_recent`."""
        await self.load(AWAITING)
        return self.results()[-n:] if n > 0 else []

    def all(self) -> list[Entry]:
        """All accepted results, oldest first."""
        run_blocking(self.load(BLOCKING))
        return self.results()

    async def aall(self) -> list[Entry]:
        """Async twin of `all`."""
        await self.load(AWAITING)
        return self.results()

    def recall(self, query: str, k: int = 3) -> list[Entry]:
        """The `k` results that fit a query best: by meaning with an embedder, by words without."""
        run_blocking(self.load(BLOCKING))
        return run_blocking(self.rank(BLOCKING, query, k))

    async def arecall(self, query: str, k: int = 3) -> list[Entry]:
        """Async twin of `recall`."""
        await self.load(AWAITING)
        return await self.rank(AWAITING, query, k)

    def read(self, key: str) -> Entry | None:
        """One entry by key, whatever its status."""
        return run_blocking(self.fetch(BLOCKING, key))


def _entry_of(sub_task_id: str, result: str | StoredResult, fields: dict[str, Any]) -> Entry:
    """Make the entry of a result.

    Raises:
        ConfigError: It is neither a text nor a result, or a field is none of `Entry`.
    """
    if not isinstance(sub_task_id, str):
        raise ConfigError(f"a result is stored under the id of its sub-task, not under a {type(sub_task_id).__name__}")
    known: dict[str, Any] = {"key": sub_task_id, "sub_task_id": sub_task_id, "text": result}
    if not isinstance(result, str):
        try:
            known |= {"text": result.text, "sources": result.sources, "tainted_by": result.tainted_by}
        except AttributeError:
            raise ConfigError(f"store a Result or a text, not a {type(result).__name__}") from None
        known["trusted"] = not result.tainted_by
    if unknown := fields.keys() - Entry.__dataclass_fields__.keys():
        known_names = ", ".join(Entry.__dataclass_fields__)
        raise ConfigError(f"an entry has no field '{min(unknown)}': use one of {known_names}")
    return Entry(**{**known, **fields})
