"""Saver and Store: LangGraph's checkpoints and store in SQLite, for threads and event loops."""

import builtins
import contextlib
import json
import shutil
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from pathlib import Path
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
from langgraph.store.base import Item, Op, PutOp, Result, SearchOp
from langgraph.store.sqlite import SqliteStore

from orchestrator.errors import PersistenceError
from orchestrator.persistence.checkpoint_ids import check_order, start_after
from orchestrator.persistence.damage import UNREADABLE_ERRORS, load_value, problem_of, unreadable_thread
from orchestrator.persistence.namespaces import thread_of
from orchestrator.persistence.serializer import PackedSerializer
from orchestrator.redaction import redact_error

BUSY_TIMEOUT_S = 10.0

_PACKED_WRITES = "__writes__"


def _is_full(where: str) -> bool:
    """True if the disk has no room for the index of SQLite's journal."""
    # The index needs 32 KB, and without that room SQLite reports an "I/O error" instead of a full disk.
    try:
        return shutil.disk_usage(Path(where).parent).free < 64 * 1024
    except OSError:
        return False


def explain_sqlite(error: sqlite3.Error, where: str) -> PersistenceError:
    """Return an error for a person, with the problem of the database and what to do."""
    text = str(error)
    if "locked" in text or "busy" in text:
        return PersistenceError(
            f"the database {where} is locked by another program: close it, or choose another with --db"
        )
    if "not a database" in text or "malformed" in text or "encrypted" in text:
        return PersistenceError(
            f"{where} is not a SQLite database, or it is damaged ({text}): restore it from a copy, or choose "
            "another with --db"
        )
    if "disk is full" in text or ("disk I/O error" in text and _is_full(where)):
        return PersistenceError(f"no space left to write {where}: free some, then resume the thread")
    if "locking protocol" in text:
        return PersistenceError(
            f"the database {where} cannot be locked ({text}): it lies on a network drive, or another program holds its "
            "-shm file; move it to a local disk, or choose another with --db"
        )
    if "disk I/O error" in text:
        return PersistenceError(
            f"the disk of {where} failed ({text}): check the disk or the network drive, then resume the thread"
        )
    if "readonly" in text or "unable to open" in text:
        return PersistenceError(f"cannot open {where} for writing ({text}): check the path and its permissions")
    return PersistenceError(f"the database {where} failed: {text}")


@contextlib.contextmanager
def _reading(where: str, thread_id: str = "") -> Iterator[None]:
    """Explain errors of deserialization inside the block: the data is damaged on disk.

    Args:
        where: The database.
        thread_id: The thread whose data is read, if it is of one thread.

    Raises:
        PersistenceError: A value cannot be deserialized.
    """
    try:
        yield
    except UNREADABLE_ERRORS as error:
        if thread_id:
            raise unreadable_thread(thread_id, error) from error
        cause = problem_of(error)
        raise PersistenceError(
            f"{where} is damaged ({cause}): restore it from a copy, or choose another with --db"
        ) from error


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
    """

    def __init__(self, conn: sqlite3.Connection, lock: threading.Lock, where: str) -> None:
        super().__init__(conn, serde=PackedSerializer())
        self.lock = lock
        self.where = where

    @contextlib.contextmanager
    def cursor(self, transaction: bool = True) -> Iterator[sqlite3.Cursor]:
        """Yield a cursor under the lock. A transaction is rolled back if its body fails."""
        with self.lock:
            try:
                self.setup()
                cursor = self.conn.cursor()
                if transaction:
                    # IMMEDIATE: SQLite does not wait for another writer once a transaction has begun to read.
                    cursor.execute("BEGIN IMMEDIATE")
                try:
                    yield cursor
                    if transaction:
                        cursor.execute("COMMIT")
                finally:
                    if transaction and self.conn.in_transaction:
                        cursor.execute("ROLLBACK")
                    cursor.close()
            except sqlite3.Error as error:
                raise explain_sqlite(error, self.where) from error

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
        super().put_writes(config, writes, task_id, task_path)

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the checkpoint with its pending writes."""
        with _reading(self.where, str(config["configurable"].get("thread_id", ""))):
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
        with _reading(self.where, str(config["configurable"].get("thread_id", "")) if config else ""):
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


class Store(SqliteStore):
    """`SqliteStore` that serves threads and event loops, with clear errors."""

    serves_loops = True

    def __init__(self, conn: sqlite3.Connection, lock: threading.Lock, where: str) -> None:
        super().__init__(conn, deserializer=load_value)
        self.lock = lock
        self.where = where

    @contextlib.contextmanager
    def _cursor(self, *, transaction: bool = True) -> Iterator[sqlite3.Cursor]:
        try:
            self.setup()  # outside the lock, which the store's set-up takes itself
            with self.lock:
                cursor = self.conn.cursor()
                if transaction:
                    cursor.execute("BEGIN")
                try:
                    yield cursor
                    if transaction:
                        cursor.execute("COMMIT")
                finally:
                    if transaction and self.conn.in_transaction:
                        cursor.execute("ROLLBACK")
                    cursor.close()
        except sqlite3.Error as error:
            raise explain_sqlite(error, self.where) from error

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations in one transaction.

        Raises:
            PersistenceError: The database cannot be used, or a value is damaged on disk.
        """
        operations = list(ops)
        # A ValueError or TypeError beside a write may be the caller's mistake, such as a value that is no JSON.
        if any(isinstance(op, PutOp) for op in operations):
            return super().batch(operations)
        with _reading(self.where):
            try:
                return super().batch(operations)
            except PersistenceError as error:
                # SQLite looks into every row where a search has a filter.
                searched = [op.namespace_prefix for op in operations if isinstance(op, SearchOp) and op.filter]
                if searched and "malformed JSON" in str(error):
                    raise unreadable_thread(thread_of(searched[0]), ValueError("malformed JSON")) from error
                raise

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Like `batch`."""
        return self.batch(ops)

    def foreign_changes(self) -> int:
        """Return a number that changes whenever another connection has written to the database."""
        # It takes 6 µs, and does not change by what this connection writes.
        with self._cursor(transaction=False) as cursor:
            return int(cursor.execute("PRAGMA data_version").fetchone()[0])

    def insert_if_absent(self, op: PutOp) -> Item | None:
        """Insert a value, and return None; or return the item that has its key already. One transaction."""
        key = (".".join(op.namespace), op.key)
        with self._cursor() as cursor:
            # The insertion comes first, since it takes SQLite's lock for writing.
            cursor.execute(
                "INSERT INTO store (prefix, key, value) VALUES (?, ?, ?) ON CONFLICT (prefix, key) DO NOTHING",
                (*key, json.dumps(op.value).encode()),
            )
            if cursor.rowcount == 1:
                return None
            value, created, updated = cursor.execute(
                "SELECT value, created_at, updated_at FROM store WHERE prefix = ? AND key = ?", key
            ).fetchone()
        with _reading(self.where):
            return Item(
                value=json.loads(value), key=op.key, namespace=op.namespace, created_at=created, updated_at=updated
            )

    async def ainsert_if_absent(self, op: PutOp) -> Item | None:
        """Like `insert_if_absent`."""
        return self.insert_if_absent(op)
