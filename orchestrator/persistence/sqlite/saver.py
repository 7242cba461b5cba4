"""Saver: LangGraph's checkpoints in SQLite, for threads and event loops."""

import builtins
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
)
from langgraph.checkpoint.serde.types import ERROR
from langgraph.checkpoint.sqlite import SqliteSaver

from orchestrator.persistence.rows.riders import Riders
from orchestrator.persistence.serializer import PackedSerializer
from orchestrator.persistence.sqlite import journal_table
from orchestrator.persistence.sqlite.checkpoint_ids import check_order, start_after
from orchestrator.persistence.sqlite.errors import explain_sqlite, reading
from orchestrator.redaction import redact_error

_PACKED_WRITES = "__writes__"


def _unpacked(checkpoint: CheckpointTuple) -> CheckpointTuple:
    """Return a checkpoint with its packed writes taken apart."""
    writes: builtins.list[tuple[str, str, Any]] = []
    for task_id, channel, value in checkpoint.pending_writes or ():
        if channel == _PACKED_WRITES:
            writes += [(task_id, name, part) for name, part in value]
        else:
            writes.append((task_id, channel, value))
    return checkpoint._replace(pending_writes=writes)


class Saver(SqliteSaver):
    """`SqliteSaver` that serves threads and event loops, in explicit transactions with clear errors.

    All writes of a task go into one row instead of one row for each channel. Otherwise the sends of a round of 200
    sub-tasks alone would take 200 rows.

    Args:
        conn: The connection.
        lock: Held during each transaction.
        where: The database, for errors.
        riders: Writes to the store that each transaction takes along; None where the store is another database.
    """

    def __init__(
        self, conn: sqlite3.Connection, lock: threading.Lock, where: str, riders: Riders | None = None
    ) -> None:
        super().__init__(conn, serde=PackedSerializer())
        self.lock = lock
        self.where = where
        self.riders = riders
        self._saving = threading.local()

    @contextlib.contextmanager
    def cursor(self, transaction: bool = True) -> Iterator[sqlite3.Cursor]:
        """Yield a cursor under the lock. A transaction is rolled back if its body fails."""
        with self.lock:
            try:
                self.setup()
                cursor = self.conn.cursor()
                try:
                    if transaction:
                        with self._transaction(cursor):
                            yield cursor
                    else:
                        yield cursor
                finally:
                    cursor.close()
            except sqlite3.Error as error:
                raise explain_sqlite(error, self.where) from error

    @contextlib.contextmanager
    def _transaction(self, cursor: sqlite3.Cursor) -> Iterator[None]:
        # IMMEDIATE: SQLite does not wait for another writer once a transaction has begun to read.
        cursor.execute("BEGIN IMMEDIATE")
        try:
            if self.riders is None:
                yield
                cursor.execute("COMMIT")
                return
            with self.riders.boarding(getattr(self._saving, "task_id", "")) as ops:
                yield
                journal_table.put(cursor, ops)
                cursor.execute("COMMIT")
        finally:
            if self.conn.in_transaction:
                cursor.execute("ROLLBACK")

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Saves a checkpoint.

        Raises:
            PersistenceError: It would sort before its parent.
        """
        check_order(checkpoint["id"], config["configurable"].get("checkpoint_id"), self.where)
        return super().put(config, checkpoint, metadata, new_versions)

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Save a task's writes."""
        # Errors, interrupts and resumes keep rows of their own, which LangGraph replaces by channel.
        for channel, value in writes:
            if channel == ERROR and isinstance(value, BaseException):
                redact_error(value)
        if len(writes) > 1 and not any(channel in WRITES_IDX_MAP for channel, _ in writes):
            writes = [(_PACKED_WRITES, [list(write) for write in writes])]
        self._saving.task_id = task_id  # for the transaction, which LangGraph begins in this thread
        try:
            super().put_writes(config, writes, task_id, task_path)
        finally:
            self._saving.task_id = ""

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the checkpoint with its pending writes."""
        with reading(self.where, str(config["configurable"].get("thread_id", ""))):
            found = super().get_tuple(config)
            if found is None:
                return None
            # The next id sorts after the newest one, also where a run goes on from an older checkpoint.
            start_after(self._newest_id(found.config) if get_checkpoint_id(config) else found.checkpoint["id"])
            return _unpacked(found)

    def _newest_id(self, config: RunnableConfig) -> str:
        place = (config["configurable"]["thread_id"], config["configurable"].get("checkpoint_ns", ""))
        with self.cursor(transaction=False) as cursor:
            query = "SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ?"
            return str(cursor.execute(query, place).fetchone()[0])

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Yield the checkpoints, newest first."""
        # All are read before the first is yielded: the caller may write meanwhile, and the lock is not reentrant.
        with reading(self.where, str(config["configurable"].get("thread_id", "")) if config else ""):
            checkpoints = [_unpacked(one) for one in super().list(config, filter=filter, before=before, limit=limit)]
        yield from checkpoints

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Like `get_tuple`."""
        return self.get_tuple(config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Like `list`."""
        for checkpoint in self.list(config, filter=filter, before=before, limit=limit):
            yield checkpoint

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Like `put`."""
        return self.put(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Like `put_writes`."""
        self.put_writes(config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """Like `delete_thread`."""
        self.delete_thread(thread_id)

    def drop_namespace(self, thread_id: str, checkpoint_ns: str) -> None:
        """Delete the checkpoints of a finished worker's subgraph; the result is already in the shared memory."""
        with self.cursor() as cursor:
            for table in ("checkpoints", "writes"):
                # `substr` instead of LIKE, whose wildcards may occur in a namespace.
                cursor.execute(
                    f"DELETE FROM {table} WHERE thread_id = ?"
                    " AND (checkpoint_ns = ? OR substr(checkpoint_ns, 1, ?) = ?)",
                    (thread_id, checkpoint_ns, len(checkpoint_ns) + 1, checkpoint_ns + "|"),
                )

    async def adrop_namespace(self, thread_id: str, checkpoint_ns: str) -> None:
        """Like `drop_namespace`."""
        self.drop_namespace(thread_id, checkpoint_ns)

    # SqliteSaver (3.1) leaves this out. LangGraph's server calls it to roll a run back.
    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints that these runs of a LangGraph server saved."""
        marks = ", ".join("?" * len(run_ids))
        # CAST: SQLite refuses a BLOB as JSON, and since 3.45 takes it for its binary form of JSON.
        saved = (
            f"SELECT checkpoint_id FROM checkpoints WHERE json_extract(CAST(metadata AS TEXT), '$.run_id') IN ({marks})"
        )
        with self.cursor() as cursor:
            cursor.execute(f"DELETE FROM writes WHERE checkpoint_id IN ({saved})", tuple(run_ids))
            cursor.execute(f"DELETE FROM checkpoints WHERE checkpoint_id IN ({saved})", tuple(run_ids))
