"""Checkpointer and store for LangGraph's server (`langgraph dev`, LangGraph Studio), as langgraph.json names them.

They call the saver and the store of `orchestrator.persistence`, so all programs share one file format. The server
forbids blocking calls on its event loop. Therefore every operation runs on one thread for the database, as in
aiosqlite. Checkpointer and store share this thread and one connection, so they never lock each other out.

`ORCHESTRATOR_DB` names the database; the default is the database under the user's data folder.
"""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar, cast

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
from orchestrator.persistence.database import Persistence
from orchestrator.persistence.location import default_url
from orchestrator.persistence.sqlite.saver import Saver
from orchestrator.persistence.sqlite.store import Store
from orchestrator.runs.deletion import delete_thread

T = TypeVar("T")


class Database:
    """The database that checkpointer and store share, open while one of them is in use.

    Args:
        url: See `Persistence`; None to read `ORCHESTRATOR_DB` when the database is opened.
    """

    def __init__(self, url: str | None = None) -> None:
        self._url = url
        self._users = 0
        self._lock = threading.Lock()
        self._persistence: Persistence | None = None
        self._thread: ThreadPoolExecutor | None = None

    @asynccontextmanager
    async def use(self) -> AsyncIterator["Database"]:
        """Keep the database open.

        Raises:
            PersistenceError: The database cannot be opened.
        """
        # Opening reads and writes files, and the server refuses blocking calls on its loop.
        await asyncio.to_thread(self._enter)
        try:
            yield self
        finally:
            await asyncio.to_thread(self._leave)

    def _enter(self) -> None:
        with self._lock:
            if self._persistence is None:
                self._persistence = Persistence(self._url or os.environ.get("ORCHESTRATOR_DB") or default_url())
                self._thread = ThreadPoolExecutor(1, "orchestrator-db")  # one: SQLite's calls never meet
            self._users += 1

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1  # the server enters and leaves checkpointer and store apart
            if self._users == 0 and self._thread is not None and self._persistence is not None:
                self._thread.shutdown()
                self._persistence.close()
                self._persistence = self._thread = None

    @property
    def persistence(self) -> Persistence:
        """The open database."""
        assert self._persistence is not None, "the database is used outside `use`"
        return self._persistence

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Call a blocking function on the database's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(function, *args))


class ServerSaver(BaseCheckpointSaver[str]):
    """The engine's `Saver` for an event loop that forbids blocking calls.

    Args:
        database: An open database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._saver = cast(Saver, database.persistence.checkpointer)
        super().__init__(serde=self._saver.serde)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the checkpoint with its pending writes."""
        return await self._database.call(self._saver.get_tuple, config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Yield the checkpoints, newest first."""

        # To its end on the database's thread: a generator would call SQLite from the event loop.
        def read() -> list[CheckpointTuple]:
            return list(self._saver.list(config, filter=filter, before=before, limit=limit))

        for checkpoint in await self._database.call(read):
            yield checkpoint

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Save a checkpoint."""
        return await self._database.call(self._saver.put, config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Save the writes of a node."""
        await self._database.call(self._saver.put_writes, config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a thread with its ledger, its shared memory, its decisions and its files."""
        await self._database.call(self._delete_thread, thread_id)

    def _delete_thread(self, thread_id: str) -> None:
        run_blocking(delete_thread(BLOCKING, self._database.persistence, thread_id))

    async def adelete_for_runs(self, run_ids: Iterable[str]) -> None:
        """Delete the checkpoints of cancelled runs, when a client asks to roll them back."""
        await self._database.call(self._saver.delete_for_runs, list(run_ids))

    async def adrop_namespace(self, thread_id: str, checkpoint_ns: str) -> None:
        """Delete the checkpoints of a finished worker's subgraph."""
        await self._database.call(self._saver.drop_namespace, thread_id, checkpoint_ns)


class ServerStore(BaseStore):
    """The engine's `Store` for an event loop that forbids blocking calls.

    Args:
        database: An open database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._store = cast(Store, database.persistence.store)
        self.riders = self._store.riders

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations in this thread; nodes that run in threads use this method."""
        return self._store.batch(ops)

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations on the database's thread, in one transaction."""
        return await self._database.call(self._store.batch, list(ops))

    def insert_if_absent(self, op: PutOp, also: Sequence[PutOp] = ()) -> Item | None:
        """Insert a value, and return None; or return the item that has its key already."""
        return self._store.insert_if_absent(op, also)

    async def ainsert_if_absent(self, op: PutOp, also: Sequence[PutOp] = ()) -> Item | None:
        """Async twin of `insert_if_absent`."""
        return await self._database.call(self._store.insert_if_absent, op, also)


_DATABASE = Database()  # of both factories, which the server calls apart from each other


@asynccontextmanager
async def checkpointer() -> AsyncIterator[ServerSaver]:
    """Yield the checkpointer for langgraph.json."""
    async with _DATABASE.use() as database:
        yield ServerSaver(database)


@asynccontextmanager
async def store() -> AsyncIterator[ServerStore]:
    """Yield the store for langgraph.json."""
    async with _DATABASE.use() as database:
        yield ServerStore(database)
