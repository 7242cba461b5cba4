"""Invocation: what a node knows of the run that it is part of, besides its state."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.runtime import get_runtime
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.store.sqlite import AsyncSqliteStore, SqliteStore

from orchestrator.budget.budget import Budget
from orchestrator.budget.ledger import Ledger
from orchestrator.concurrency import BLOCKING, Bridge
from orchestrator.errors import ConfigError
from orchestrator.events import Emit
from orchestrator.persistence.schema import set_up
from orchestrator.persistence.sqlite import BUSY_TIMEOUT_S

_MOST_LEDGERS = 4096

# LangGraph hands a node's checkpointer to subgraphs under this key of the config; there is no public way to ask.
_CHECKPOINTER_KEY = "__pregel_checkpointer"
_stores: WeakKeyDictionary[Any, BaseStore] = WeakKeyDictionary()
_MOST_UNSAVED = 1024
_lock = threading.Lock()
_unsaved: OrderedDict[object, BaseStore] = OrderedDict()


@dataclass(frozen=True)
class Invocation:
    """One invocation of the graph, as a node sees it.

    Args:
        thread_id: The thread; empty when the graph runs without a checkpointer.
        store: Where the shared memory and the decisions are.
        checkpointer: The saver, if the run is saved.
        namespace: The node execution's own checkpoint namespace.
        control: LangGraph's run control: one object for each invocation.
        emit: Takes progress events for LangGraph's custom stream.
    """

    thread_id: str
    store: BaseStore
    checkpointer: Any
    namespace: str
    control: object
    emit: Emit

    @classmethod
    def of(cls, config: RunnableConfig) -> "Invocation":
        """Reads it from the node's config and runtime.

        Raises:
            ConfigError: The graph is saved somewhere and was compiled without a store that is as durable.
        """
        configurable = config.get("configurable", {})
        runtime: Any = get_runtime()
        write = runtime.stream_writer
        saver = configurable.get(_CHECKPOINTER_KEY)
        return cls(
            thread_id=str(configurable.get("thread_id") or ""),
            store=runtime.store if runtime.store is not None else _store_beside(saver, runtime.control),
            checkpointer=saver,
            namespace=str(configurable.get("checkpoint_ns") or ""),
            control=runtime.control,
            emit=lambda event: write(event.plain()),
        )

    def round_key(self, thread_id: str) -> str:
        """Where the nodes of this graph meet for a thread; another where the graph is a node of another graph."""
        return f"{self.namespace.rpartition('|')[0]}|{thread_id}"

    def ledger(self, bridge: Bridge, thread_id: str) -> Ledger:
        """The ledger that all nodes of this invocation share; load it before use."""
        place = self.round_key(thread_id)
        lock = bridge.lock()
        return LEDGERS.find(
            place, self.control, lambda: Ledger(Budget(), self.store, thread_id, lock, control=self.control)
        )

    async def drop_steps(self, bridge: Bridge) -> None:
        """Deletes the steps that this node execution's agent has saved: its result is in the shared memory."""
        drop = getattr(self.checkpointer, "drop_namespace" if bridge is BLOCKING else "adrop_namespace", None)
        if drop is not None:
            await bridge.call(drop, self.thread_id, self.namespace)


def _store_beside(saver: Any, control: object) -> BaseStore:
    """A store as durable as the saver, for a graph that was compiled without one."""
    if not isinstance(saver, BaseCheckpointSaver):
        return _store_of(control)
    if (store := _stores.get(saver)) is None:
        if isinstance(saver, SqliteSaver):
            store = SqliteStore(saver.conn)
            with saver.lock:  # the saver writes from threads of its own
                set_up(None, store, BUSY_TIMEOUT_S)
                saver.conn.commit()  # the store expects autocommit, which this connection may not have
            store.lock = saver.lock  # one connection, so one lock
        elif isinstance(saver, AsyncSqliteSaver):
            store = AsyncSqliteStore(saver.conn)
            store.lock = saver.lock
        elif isinstance(saver, InMemorySaver):
            store = InMemoryStore()
        else:
            raise ConfigError(
                f"the graph has a checkpointer ({type(saver).__name__}) and no store, and the results of sub-tasks "
                "would be lost with the process: compile it with a store as well, compile(checkpointer=…, store=…)"
            )
        _stores[saver] = store
    return store


def _store_of(control: object) -> BaseStore:
    """The store of one invocation that is not saved anywhere; the oldest are forgotten."""
    with _lock:
        if (store := _unsaved.get(control)) is None:
            store = _unsaved[control] = InMemoryStore()
            if len(_unsaved) > _MOST_UNSAVED:
                _unsaved.popitem(last=False)
        return store


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
