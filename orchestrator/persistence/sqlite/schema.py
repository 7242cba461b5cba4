"""Set-up of a database: the tables of LangGraph's saver and store, in one transaction.

LangGraph commits each statement of its set-up. A process that is killed between a migration and its entry in
`store_migrations` leaves a file that always fails with "duplicate column name". Here LangGraph's own scripts run
inside one transaction, and a half-made file is finished.
"""

import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.store.sqlite import SqliteStore

from orchestrator.persistence.sqlite.journal_table import create_journal, has_journal

_RETRY_S = 0.02
_COMMENT = re.compile(r"\s*--[^\n]*")
_SKIPPED = re.compile(r"PRAGMA\s+journal_mode", re.IGNORECASE)  # cannot change inside a transaction


def set_up(saver: SqliteSaver | None, store: SqliteStore, patience_s: float) -> None:
    """Create or finish the tables of a saver and a store on their connection.

    Args:
        saver: The saver; None if only the store is used.
        store: The store.
        patience_s: Seconds to wait for another process that sets up the same file.

    Raises:
        sqlite3.Error: The file cannot be used.
    """
    connection: sqlite3.Connection = store.conn
    if saver is not None:
        _patiently(lambda: connection.execute("PRAGMA journal_mode=WAL"), patience_s)
    if not _is_complete(connection, store, with_saver=saver is not None):
        connection.commit()  # a connection of the user's own may be in a transaction
        _patiently(lambda: connection.execute("BEGIN IMMEDIATE"), patience_s)
        try:
            _run_scripts(saver, store, connection)
            if saver is not None:  # LangGraph's own store, which comes without one, has no such tables
                create_journal(connection)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    store.is_setup = True
    if saver is not None:
        saver.is_setup = True


def _patiently(act: Callable[[], object], patience_s: float) -> None:
    """Retry while another process holds the file: SQLite does not wait when the journal's mode changes."""
    until = time.monotonic() + patience_s
    while True:
        try:
            act()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= until:
                raise
        time.sleep(_RETRY_S)


def _is_complete(connection: sqlite3.Connection, store: SqliteStore, *, with_saver: bool) -> bool:
    """True if no step of the set-up is missing. Only reads, so that opening a file waits for no writer."""
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "store_migrations" not in names:
        return False
    if with_saver and not ({"checkpoints", "writes"} <= names and has_journal(names)):
        return False
    if with_saver and not any(row[1] == "task_path" for row in connection.execute("PRAGMA table_info(writes)")):
        return False
    newest = connection.execute("SELECT max(v) FROM store_migrations").fetchone()[0]
    return newest is not None and newest >= len(store.MIGRATIONS) - 1


def _run_scripts(saver: SqliteSaver | None, store: SqliteStore, connection: sqlite3.Connection) -> None:
    inside = cast(sqlite3.Connection, _InTransaction(connection))
    for part in (saver, store):
        if part is None:
            continue
        part.conn = inside
        try:
            part.setup()
        finally:
            part.conn = connection


class _InTransaction:
    """A connection whose scripts do not commit, and that takes an existing column for no error."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, parameters: Any = ()) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement, parameters)
        except sqlite3.OperationalError as error:
            if "duplicate column name" not in str(error):
                raise
            return self._connection.cursor()  # a process was killed after it had added the column

    def executescript(self, script: str) -> None:
        # sqlite3's own `executescript` commits the open transaction first.
        for statement in _statements(script):
            if not _SKIPPED.match(statement):
                self.execute(statement)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in _COMMENT.sub("", script).splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement.strip()
            statement = ""
    if statement.strip():
        yield statement.strip()
