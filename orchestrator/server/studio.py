"""Checkpointer and store for LangGraph's server (`langgraph dev`, LangGraph Studio), as langgraph.json names them.

They are the saver and the store of `persistence`, with the same file format, so that there is one of each. Only the
way to call them differs: the server forbids blocking calls on its event loop, so every operation goes to one thread
of its own, as aiosqlite would do it. One thread and one connection for both: nothing here can meet a locked database.

The database is the one that `ORCHESTRATOR_DB` names, or the default one under the user's data folder.
"""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.store.base import BaseStore, Item, Op, PutOp, Result

from orchestrator.concurrency import BLOCKING, run_blocking
from orchestrator.persistence.database import Persistence, default_url
from orchestrator.runs.thread_list import ThreadList

T = TypeVar("T")


class Database:
    """The database that checkpointer and store share: open while one of them is in use.

    Args:
        url: See `Persistence`; None for what `ORCHESTRATOR_DB` says when it is opened.
    """

    def __init__(self, url: str | None = None) -> None:
        self._url = url
        self._users = 0
        self._lock = threading.Lock()
        self._persistence: Persistence | None = None
        self._thread: ThreadPoolExecutor | None = None

    @asynccontextmanager
    async def use(self) -> AsyncIterator["Database"]:
        """Keeps it open.

        Raises:
            PersistenceError: It cannot be opened.
        """
        await asyncio.to_thread(self._enter)
        try:
            yield self
        finally:
            await asyncio.to_thread(self._leave)

    def _enter(self) -> None:
        with self._lock:
            if self._persistence is None:
                self._persistence = Persistence(self._url or os.environ.get("ORCHESTRATOR_DB") or default_url())
                self._thread = ThreadPoolExecutor(1, "orchestrator-db")
            self._users += 1

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._thread is not None and self._persistence is not None:
                self._thread.shutdown()
                self._persistence.close()
                self._persistence = self._thread = None

    @property
    def persistence(self) -> Persistence:
        """What is open."""
        assert self._persistence is not None, "the database is used outside `use`"
        return self._persistence

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Calls a blocking function on the database's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(function, *args))


class ServerSaver(BaseCheckpointSaver[str]):
    """`persistence.Saver` for an event loop on which nothing may block.

    Args:
        database: An open database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._saver = database.persistence.checkpointer
        super().__init__(serde=self._saver.serde)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint with its pending writes."""
        return await self._database.call(self._saver.get_tuple, config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """The checkpoints, newest first."""

        def read() -> list[CheckpointTuple]:
            return list(self._saver.list(config, filter=filter, before=before, limit=limit))

        for found in await self._database.call(read):
            yield found

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Saves a checkpoint."""
        return await self._database.call(self._saver.put, config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Saves what a node wrote."""
        await self._database.call(self._saver.put_writes, config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """Deletes a thread with its shared memory and its decisions."""
        await self._database.call(self._delete_thread, thread_id)

    def _delete_thread(self, thread_id: str) -> None:
        self._saver.delete_thread(thread_id)
        run_blocking(ThreadList(self._database.persistence.store).delete(BLOCKING, thread_id))

    async def adelete_for_runs(self, run_ids: Iterable[str]) -> None:
        """Deletes the checkpoints of cancelled runs, when a client asks to roll back."""
        await self._database.call(self._saver.delete_for_runs, list(run_ids))

    async def adrop_namespace(self, thread_id: str, checkpoint_ns: str) -> None:
        """Deletes what a finished worker's subgraph left."""
        await self._database.call(self._saver.drop_namespace, thread_id, checkpoint_ns)


class ServerStore(BaseStore):
    """`persistence.Store` for an event loop on which nothing may block.

    Args:
        database: An open database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._store = database.persistence.store

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Carries out operations, for whoever is on a thread."""
        return self._store.batch(ops)

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Carries out operations in one transaction."""
        return await self._database.call(self._store.batch, list(ops))

    def insert_if_absent(self, op: PutOp) -> Item | None:
        """Insert a value, and return None; or return the item that has its key already."""
        return self._store.insert_if_absent(op)

    async def ainsert_if_absent(self, op: PutOp) -> Item | None:
        """Async twin of `insert_if_absent`."""
        return await self._database.call(self._store.insert_if_absent, op)


_DATABASE = Database()


@asynccontextmanager
async def checkpointer() -> AsyncIterator[ServerSaver]:
    """The checkpointer that langgraph.json names."""
    async with _DATABASE.use() as database:
        yield ServerSaver(database)


@asynccontextmanager
async def store() -> AsyncIterator[ServerStore]:
    """The store that langgraph.json names."""
    async with _DATABASE.use() as database:
        yield ServerStore(database)
