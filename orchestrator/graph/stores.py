"""The store of a graph that was compiled without one."""

from typing import Any
from weakref import WeakKeyDictionary

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.store.sqlite import AsyncSqliteStore, SqliteStore

from orchestrator.errors import ConfigError
from orchestrator.graph.registry import Registry
from orchestrator.persistence.database import BUSY_TIMEOUT_S
from orchestrator.persistence.sqlite.schema import set_up

# One store for each saver: in memory, a second store would have none of the results of the runs before.
_stores: WeakKeyDictionary[Any, BaseStore] = WeakKeyDictionary()
_UNSAVED: Registry[BaseStore] = Registry(most=1024)


def store_beside(saver: Any, control: object) -> BaseStore:
    """Return a store as durable as the saver.

    Args:
        saver: The graph's checkpointer. Without one the store lives as long as the invocation.
        control: LangGraph's run control of the invocation.

    Raises:
        ConfigError: The kind of saver is unknown.
    """
    if not isinstance(saver, BaseCheckpointSaver):
        return _UNSAVED.find(control, control, InMemoryStore)
    # LangGraph 1.2 gives each compiled graph a shallow copy of the saver where it knows the types of the state. The
    # copies share this object, and the store has to go with it.
    owner = saver.stack if isinstance(saver, InMemorySaver) else saver
    if (store := _stores.get(owner)) is None:
        store = _stores.setdefault(owner, _store_of(saver))  # workers of a resumed round come here at the same time
    return store


def _store_of(saver: BaseCheckpointSaver[Any]) -> BaseStore:
    # The store shares the saver's connection. With two connections to one file, 200 runs at once ended in
    # "database is locked".
    if isinstance(saver, SqliteSaver):
        with saver.lock:  # the saver writes from threads of its own, and SQLite takes no function meanwhile
            store = SqliteStore(saver.conn)
            set_up(None, store, BUSY_TIMEOUT_S)
            saver.conn.commit()  # the store expects autocommit, which this connection may not have
        store.lock = saver.lock  # one connection, so one lock
        return store
    if isinstance(saver, AsyncSqliteSaver):
        async_store = AsyncSqliteStore(saver.conn)
        async_store.lock = saver.lock
        return async_store
    if isinstance(saver, InMemorySaver):
        return InMemoryStore()
    raise ConfigError(
        f"the graph has a checkpointer ({type(saver).__name__}) and no store, and the results of sub-tasks "
        "would be lost with the process: compile it with a store as well, compile(checkpointer=…, store=…)"
    )
