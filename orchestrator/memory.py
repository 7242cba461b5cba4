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
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, cast

from langgraph.store.base import BaseStore, GetOp, PutOp, SearchItem, SearchOp

from orchestrator.bridge import AWAITING, BLOCKING, Bridge, run_blocking
from orchestrator.recall import LexicalIndex, RecallIndex
from orchestrator.trust import merged

ROOT = "orchestrator"
_PAGE = 500
DIGEST_CHARS = 60

EntryStatus = Literal["draft", "final", "retracted", "note"]


@dataclass(frozen=True)
class Entry:
    """One piece of shared memory.

    Args:
        key: Unique in the thread; for a result, the key of its sub-task.
        text: The content.
        sub_task_id: The sub-task that it came from; empty for notes.
        agent: Who wrote it.
        sources: What it was made from: names of documents and tools.
        trusted: False when the text, or anything that it was derived from, came from outside.
        tainted_by: The sources from outside, as `orchestrator.trust` names them.
        status: `draft` until a human or the engine accepts it; `final`; `retracted`; `note` for what is no result.
        created: Unix time in seconds.
        outcome: The sub-task's outcome in plain form; empty for notes.
    """

    key: str
    text: str
    sub_task_id: str = ""
    agent: str = ""
    sources: tuple[str, ...] = ()
    trusted: bool = True
    tainted_by: tuple[str, ...] = ()
    status: EntryStatus = "final"
    created: float = 0.0
    outcome: dict[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """JSON-plain form; leaves out the key, what has its default, and of the outcome what stands here too."""
        kept = {name: value for name, value in self.__dict__.items() if name != "key" and value != _DEFAULTS.get(name)}
        if self.outcome:
            twice = {
                "id": self.sub_task_id,
                "key": self.key,
                "agent": self.agent,
                "digest": digest(self.text),
            }
            kept["outcome"] = {n: v for n, v in self.outcome.items() if n not in twice or v != twice[n]}
        return kept

    @property
    def taint(self) -> tuple[str, ...]:
        """The sources from outside; empty for what is trusted."""
        if self.trusted:
            return ()
        return self.tainted_by or (f"{self.sub_task_id or 'memory'}: {', '.join(self.sources) or self.agent}",)

    @classmethod
    def parse(cls, key: str, value: dict[str, Any]) -> "Entry":
        """The opposite of `plain`."""
        known = {name: value[name] for name in cls.__dataclass_fields__ if name in value and name != "key"}
        for name in ("sources", "tainted_by"):
            known[name] = tuple(known.get(name, ()))
        if "outcome" in known and known.get("sub_task_id"):
            twice = {"id": known["sub_task_id"], "key": key, "agent": known.get("agent", "")}
            known["outcome"] = {**twice, "digest": digest(known.get("text", "")), **known["outcome"]}
        return cls(key=key, **{"text": "", **known})


def digest(text: str) -> str:
    """The beginning of a text on one line, to tell it from others."""
    return " ".join(text[: 4 * DIGEST_CHARS].split())[:DIGEST_CHARS]


_DEFAULTS: dict[str, Any] = {
    "text": "",
    "sub_task_id": "",
    "agent": "",
    "sources": (),
    "trusted": True,
    "tainted_by": (),
    "status": "final",
    "created": 0.0,
    "outcome": {},
}


def namespace(thread_id: str, *kind: str) -> tuple[str, ...]:
    """A thread's place in the store. A store's labels must not hold dots."""
    return (ROOT, *kind, thread_id.replace("%", "%25").replace(".", "%2E") or "-")


class SharedMemory:
    """The memory of one thread.

    Args:
        store: Any LangGraph store.
        thread_id: The thread.
        index: How `recall` finds entries; by default full text search.
        clock: Gives Unix time in seconds.
    """

    def __init__(
        self,
        store: BaseStore,
        thread_id: str,
        *,
        index: RecallIndex | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._namespace = namespace(thread_id, "memory")
        self._entries: dict[str, Entry] = {}
        self._index = index or LexicalIndex()
        self._indexed = 0
        self._outdated = False
        self._clock = clock
        self._loaded = False
        self._lock = threading.Lock()  # `graph.invoke` runs workers in threads
        self._index_lock = threading.Lock()  # held for longer; never taken on an event loop

    # -- reading ---------------------------------------------------------------------------------------------

    async def load(self, bridge: Bridge) -> None:
        """Reads the thread's entries, once."""
        if self._loaded:
            return
        found: list[SearchItem] = []
        while True:
            op = SearchOp(self._namespace, limit=_PAGE, offset=len(found))
            page = cast(list[SearchItem], (await bridge.batch(self._store, [op]))[0])
            found += page
            if len(page) < _PAGE:
                break
        entries = sorted((Entry.parse(item.key, item.value) for item in found), key=lambda e: (e.created, e.key))
        with self._lock:
            self._entries = {entry.key: entry for entry in entries} | self._entries
        self._loaded = True

    def seen(self, key: str) -> Entry | None:
        """An entry of the view as it stands, without reading the store."""
        return self._entries.get(key)

    def text_of(self, key: str) -> str:
        """The text of an entry of the view; empty when there is none."""
        entry = self._entries.get(key)
        return entry.text if entry is not None else ""

    async def fetch(self, bridge: Bridge, key: str) -> Entry | None:
        """The entry of this key; asks the store when the view has not got it."""
        if (entry := self._entries.get(key)) is not None or self._loaded:
            return entry
        item = cast(Any, (await bridge.batch(self._store, [GetOp(self._namespace, key)]))[0])
        return None if item is None else Entry.parse(key, item.value)

    def taint(self) -> tuple[str, ...]:
        """The sources from outside of everything that is known, accepted or not."""
        return merged(*(entry.taint for entry in list(self._entries.values())))

    def results(self) -> list[Entry]:
        """All accepted results in the order in which they came to be."""
        return [entry for entry in list(self._entries.values()) if _is_result(entry)]

    def failed(self) -> dict[str, dict[str, Any]]:
        """What failed, by key, as plain outcomes: asked for under that key again, it would only be read from here."""
        return {e.key: e.outcome for e in list(self._entries.values()) if e.outcome.get("status") == "failed"}

    async def rank(self, bridge: Bridge, query: str, k: int) -> list[Entry]:
        """The `k` accepted results that fit the query best; an embedder takes its time, so not on the event loop."""
        if len(results := self.results()) <= 1:
            return results[:k]
        return await bridge.offload(partial(self._ranked, query, k))

    def _ranked(self, query: str, k: int) -> list[Entry]:
        with self._index_lock:
            with self._lock:
                results, outdated = self.results(), self._outdated
                self._outdated = False
            if outdated:
                self._index.clear()
                self._indexed = 0
            for entry in results[self._indexed :]:
                self._index.add(entry.key, entry.text)
            self._indexed = len(results)
            by_key = {entry.key: entry for entry in results}
            return [by_key[key] for key in self._index.search(query, k) if key in by_key]

    # -- writing ---------------------------------------------------------------------------------------------

    async def write(self, bridge: Bridge, *entries: Entry) -> None:
        """Writes entries in one transaction; durable when it returns."""
        now = self._clock()
        stamped = [entry if entry.created else _stamped(entry, now) for entry in entries]
        await bridge.batch(self._store, [PutOp(self._namespace, e.key, e.plain()) for e in stamped])
        with self._lock:
            for entry in stamped:
                before = self._entries.pop(entry.key, None)
                self._entries[entry.key] = entry
                if before is not None and before.status == "final":
                    self._outdated = True  # the index cannot take a text back: build it anew at the next recall

    async def stand_by(self, bridge: Bridge, keys: Collection[str]) -> None:
        """Makes the results under these keys the accepted ones, in one transaction.

        Other accepted results are withdrawn: they stay readable by key, and are offered to nobody. Withdrawn ones
        under these keys come back. What was withdrawn before makes no difference to how it ends, so whoever is killed
        here and then decides otherwise ends up with what fits the new decision. Drafts stay drafts: only their review
        makes results of them.
        """
        known = list(self._entries.values())
        gone = [_with_status(e, "retracted") for e in known if _is_result(e) and e.key not in keys]
        back = [_with_status(e, "final") for e in known if e.status == "retracted" and e.key in keys]
        if gone or back:
            await self.write(bridge, *gone, *back)

    async def clear(self, bridge: Bridge) -> None:
        """Forgets everything, for another task on the same thread."""
        await self.load(bridge)
        with self._lock:
            gone, self._entries = self._entries, {}
            self._outdated = True
        if gone:
            await bridge.batch(self._store, [PutOp(self._namespace, key, None) for key in gone])

    # -- the interface of the brief, and its async twins ---------------------------------------------------------

    def store(self, sub_task_id: str, result: str, **about: Any) -> None:
        """Files a result under a sub-task's id.

        Args:
            sub_task_id: Where it came from.
            result: The text.
            about: Further fields of `Entry`, such as `agent`, `sources`, `trusted`.
        """
        run_blocking(self._store_result(BLOCKING, sub_task_id, result, about))

    async def astore(self, sub_task_id: str, result: str, **about: Any) -> None:
        """Async twin of `store`."""
        await self._store_result(AWAITING, sub_task_id, result, about)

    async def _store_result(self, bridge: Bridge, sub_task_id: str, result: str, about: dict[str, Any]) -> None:
        await self.load(bridge)
        await self.write(
            bridge, Entry(key=about.pop("key", sub_task_id), text=result, sub_task_id=sub_task_id, **about)
        )

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


def _is_result(entry: Entry) -> bool:
    return entry.status == "final" and bool(entry.sub_task_id)


def _stamped(entry: Entry, now: float) -> Entry:
    return Entry(**{**entry.__dict__, "created": now})


def _with_status(entry: Entry, status: EntryStatus) -> Entry:
    return Entry(**{**entry.__dict__, "status": status})
