"""Recall by meaning with a user's own embedding model, or with the index of a user's own store.

Where the model fails, the memory is searched by words.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from langgraph.store.base import BaseStore, PutOp

from orchestrator.concurrency import AWAITING, Bridge
from orchestrator.journal.fact import Fact
from orchestrator.journal.journal import Journal
from orchestrator.memory.entry import Entry
from orchestrator.memory.own_embedder import CALLER_LOOP, Health, OwnEmbedder, within_limit
from orchestrator.memory.recall import LexicalIndex, RecallIndex, SemanticIndex, recall_index
from orchestrator.persistence.namespaces import namespace

T = TypeVar("T")


class _MeaningIndex(ABC):
    """An index by meaning that answers by words where the model fails."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._words = LexicalIndex()

    def add(self, key: str, text: str) -> None:
        """Add a text under a key."""
        self._words.add(key, text)

    def search(self, query: str, k: int) -> list[str]:
        """Return the keys of the `k` best texts, best first. Any text is a valid query."""
        keys: list[str] = []
        if not self._health.is_resting:
            try:
                keys = self._by_meaning(query, k)
            except Exception as error:  # noqa: BLE001 - code of the user and its network
                self._health.fail(error)
        # Entries that were written while the model failed have no vector.
        return list(dict.fromkeys([*keys, *self._words.search(query, k)]))[:k]

    def clear(self) -> None:
        """Remove all texts."""
        self._words.clear()

    @abstractmethod
    def _by_meaning(self, query: str, k: int) -> list[str]: ...


class OwnIndex(_MeaningIndex):
    """The texts of one thread as vectors of a user's model.

    Args:
        model: The model.
    """

    def __init__(self, model: OwnEmbedder) -> None:
        super().__init__(model.health)
        self._model = model
        self._vectors = SemanticIndex(model)
        self._pending: list[tuple[str, str]] = []

    def add(self, key: str, text: str) -> None:
        """Add a text under a key."""
        super().add(key, text)
        self._pending.append((key, text))

    def clear(self) -> None:
        """Remove all texts."""
        super().clear()
        self._vectors.clear()
        self._pending = []

    def text_of(self, entry: Entry) -> str:
        """Return the text of an entry that is embedded."""
        return self._model.text_of(entry)

    def _by_meaning(self, query: str, k: int) -> list[str]:
        self._vectors.add_all(self._pending)
        self._pending = []
        return self._vectors.search(query, k)


_HEALTH: WeakKeyDictionary[BaseStore, Health] = WeakKeyDictionary()


def index_of(store: BaseStore) -> Mapping[str, Any] | None:
    """Return the settings of a store's own index; None for a store without one."""
    settings = getattr(store, "index_config", None)
    return settings if isinstance(settings, Mapping) and settings else None


def health_of(store: BaseStore) -> Health:
    """Return the health of the embedding model of a store."""
    return _HEALTH.setdefault(store, Health())


def index_for(store: BaseStore, thread_id: str, model: OwnEmbedder | None) -> RecallIndex:
    """Return an empty index of one thread's memory: that of a given model, of the store, or the engine's own.

    Args:
        store: The store of the memory.
        thread_id: The thread.
        model: The user's embedding model, where `index` names one.
    """
    if model is not None:
        return OwnIndex(model)
    return StoreIndex(store, namespace(thread_id, "memory")) if index_of(store) else recall_index()


async def put_entries(
    bridge: Bridge,
    store: BaseStore,
    place: tuple[str, ...],
    entries: Sequence[Entry],
    gone: Collection[str] = (),
    *,
    journal: Journal,
    facts: Sequence[Fact] = (),
) -> None:
    """Write entries and delete others, in one transaction.

    A store with an index embeds the results in it. If that fails, they are written without.

    Args:
        bridge: Reaches the store.
        store: The store.
        place: The namespace of the thread's memory.
        entries: The entries to write.
        gone: The keys of the entries to delete.
        journal: The journal of the thread.
        facts: What it tells of these entries.
    """
    settings = index_of(store)
    # Without fields, LangGraph embeds the whole value, with the outcome's numbers and the names of fields.
    fields = None if settings is None or settings.get("fields") or settings.get("text_fields") else ["text"]
    deletions = [PutOp(place, key, None) for key in gone]
    plain = [PutOp(place, entry.key, entry.plain(), index=False) for entry in entries]
    indexed = [op._replace(index=fields) if e.is_result else op for op, e in zip(plain, entries, strict=True)]
    if settings is not None and (health := health_of(store)).is_resting:
        indexed = plain
    try:
        await journal.write(bridge, [*deletions, *indexed], *facts)
    except Exception as error:
        if settings is None or indexed == plain:
            raise
        # Raises if the store itself failed, and not the embedding model.
        await journal.write(bridge, [*deletions, *plain], *facts)
        health.fail(error)


async def recall_beside(bridge: Bridge, rank: Callable[[], T]) -> T:
    """Rank entries beside the event loop, where there is one. An embedder must not hold it up."""
    CALLER_LOOP.set(asyncio.get_running_loop() if bridge is AWAITING else None)
    return await bridge.offload(rank)


class StoreIndex(_MeaningIndex):
    """The texts of one thread as the index of a store has them, which embeds each entry when it is written.

    Args:
        store: A store with an index.
        place: The namespace of the thread's memory.
    """

    def __init__(self, store: BaseStore, place: tuple[str, ...]) -> None:
        super().__init__(health_of(store))
        self._store = store
        self._place = place
        self._keys: set[str] = set()

    def add(self, key: str, text: str) -> None:
        """Add a text under a key."""
        super().add(key, text)
        self._keys.add(key)

    def clear(self) -> None:
        """Remove all texts."""
        super().clear()
        self._keys = set()

    def _by_meaning(self, query: str, k: int) -> list[str]:
        items = within_limit(lambda: self._store.search(self._place, query=query, limit=len(self._keys) + 100))
        # Drafts and retracted results are in the namespace too. An item without a score has no vector.
        return [item.key for item in items if item.score is not None and item.key in self._keys][:k]
