"""Store: LangGraph's store and the journals of all threads in SQLite, for threads and event loops."""

import builtins
import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence

from langgraph.store.base import GetOp, Item, Op, PutOp, Result, SearchOp
from langgraph.store.sqlite import SqliteStore

from orchestrator.errors import PersistenceError
from orchestrator.persistence.damage import load_value, unreadable_thread
from orchestrator.persistence.namespaces import thread_of
from orchestrator.persistence.rows.riders import Riders
from orchestrator.persistence.sqlite import journal_table
from orchestrator.persistence.sqlite.errors import explain_sqlite, reading


class Store(SqliteStore):
    """`SqliteStore` that serves threads and event loops, keeps journals in tables of their own, and has clear errors.

    Args:
        conn: The connection.
        lock: Held during each transaction.
        where: The database, for errors.
    """

    serves_loops = True

    def __init__(self, conn: sqlite3.Connection, lock: threading.Lock, where: str) -> None:
        super().__init__(conn, deserializer=load_value)
        self.lock = lock
        self.where = where
        self.riders = Riders()
        self._boarding = contextlib.ExitStack()  # of the transaction under way

    @contextlib.contextmanager
    def _cursor(self, *, transaction: bool = True) -> Iterator[sqlite3.Cursor]:
        try:
            self.setup()  # outside the lock, which the store's set-up takes itself
            with self.lock:
                cursor = self.conn.cursor()
                if transaction:
                    cursor.execute("BEGIN")
                try:
                    with contextlib.ExitStack() as self._boarding:
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
        with reading(self.where):
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

    def _batch_put_ops(self, put_ops: Sequence[tuple[int, PutOp]], cur: sqlite3.Cursor) -> None:
        of_journal = [op for _, op in put_ops if journal_table.is_of_journal(op.namespace)]
        ordinary = [(at, op) for at, op in put_ops if not journal_table.is_of_journal(op.namespace)]
        if ordinary:
            super()._batch_put_ops(ordinary, cur)
        else:
            journal_table.lock(cur)
        self._journal(cur, of_journal)

    def _journal(self, cur: sqlite3.Cursor, ops: Sequence[PutOp]) -> None:
        # They are given back if the transaction fails, also at its end.
        riders = self._boarding.enter_context(self.riders.boarding())
        journal_table.put(cur, [*riders, *ops])

    def _batch_search_ops(
        self, search_ops: Sequence[tuple[int, SearchOp]], results: builtins.list[Result], cur: sqlite3.Cursor
    ) -> None:
        ordinary = [(at, op) for at, op in search_ops if not journal_table.is_of_journal(op.namespace_prefix)]
        if ordinary:
            super()._batch_search_ops(ordinary, results, cur)
        for at, op in search_ops:
            if journal_table.is_of_journal(op.namespace_prefix):
                results[at] = journal_table.search(cur, op)

    def _batch_get_ops(
        self, get_ops: Sequence[tuple[int, GetOp]], results: builtins.list[Result], cur: sqlite3.Cursor
    ) -> None:
        ordinary = [(at, op) for at, op in get_ops if not journal_table.is_of_journal(op.namespace)]
        if ordinary:
            super()._batch_get_ops(ordinary, results, cur)
        for at, op in get_ops:
            if journal_table.is_of_journal(op.namespace):
                results[at] = journal_table.get(cur, op)

    def foreign_changes(self) -> int:
        """Return a number that changes whenever another connection has written to the database."""
        # It takes 6 µs, and does not change by what this connection writes.
        with self._cursor(transaction=False) as cursor:
            return int(cursor.execute("PRAGMA data_version").fetchone()[0])

    def insert_if_absent(self, op: PutOp, also: Sequence[PutOp] = ()) -> Item | None:
        """Insert a value, and return None; or return the item that has its key already. One transaction.

        Args:
            op: The value.
            also: Records of a journal that are written if the value is.
        """
        key = (".".join(op.namespace), op.key)
        with self._cursor() as cursor:
            # The insertion comes first, since it takes SQLite's lock for writing.
            cursor.execute(
                "INSERT INTO store (prefix, key, value) VALUES (?, ?, ?) ON CONFLICT (prefix, key) DO NOTHING",
                (*key, json.dumps(op.value).encode()),
            )
            if cursor.rowcount == 1:
                self._journal(cursor, also)
                return None
            value, created, updated = cursor.execute(
                "SELECT value, created_at, updated_at FROM store WHERE prefix = ? AND key = ?", key
            ).fetchone()
        with reading(self.where):
            return Item(
                value=json.loads(value), key=op.key, namespace=op.namespace, created_at=created, updated_at=updated
            )

    async def ainsert_if_absent(self, op: PutOp, also: Sequence[PutOp] = ()) -> Item | None:
        """Like `insert_if_absent`."""
        return self.insert_if_absent(op, also)
