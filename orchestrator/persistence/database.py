"""Persistence: checkpointer, store and leases of one database, opened from one URL.

A user's own checkpointer or store takes the place of the database's. Leases and workspaces stay beside the database.

Checkpointer and store share one SQLite connection under one lock, and serve both threads and event loops. On a loop
they call SQLite directly: a write takes about a tenth of a millisecond, and a hop to another thread several times that.
(`langgraph dev` forbids blocking calls on its loop, and uses `orchestrator.server.studio` instead.)

A killed process loses no committed write. After a power failure the newest writes may be missing, and the database is
still consistent.
"""

import builtins
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from types import NoneType
from typing import Self

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.base import BaseStore

from orchestrator.errors import ConfigError, PersistenceError
from orchestrator.forks import forget_in_children, keep_for_ever
from orchestrator.persistence.leases import Leases
from orchestrator.persistence.location import database_path, default_url
from orchestrator.persistence.own_savers import AnySaver, adapted_saver, check_loop
from orchestrator.persistence.private_files import make_private_file, make_private_folder
from orchestrator.persistence.row_watch import watch_of
from orchestrator.persistence.sqlite.errors import explain_sqlite
from orchestrator.persistence.sqlite.saver import Saver
from orchestrator.persistence.sqlite.schema import set_up
from orchestrator.persistence.sqlite.store import Store
from orchestrator.persistence.workspace import workspaces_beside
from orchestrator.validation import expect

BUSY_TIMEOUT_S = 10.0

_CHECKPOINTER = "a checkpointer of LangGraph, such as InMemorySaver(), open already"


def _check_kind(path: Path) -> None:
    """Refuse a path that exists and is no file: SQLite waits for ever to read from a pipe.

    Raises:
        PersistenceError: The path is a folder, a pipe or a device.
    """
    if path.is_dir():
        raise PersistenceError(f"{path} is a folder, and a database is a file: name one in it, such as {path / 'x.db'}")
    if path.exists() and not path.is_file():
        raise PersistenceError(f"{path} is no ordinary file: choose another with --db")


def _connect(path: Path | None) -> sqlite3.Connection:
    # Without an isolation level: saver and store begin and end their transactions themselves.
    connection = sqlite3.connect(
        path or ":memory:", check_same_thread=False, isolation_level=None, timeout=BUSY_TIMEOUT_S
    )
    connection.execute("PRAGMA synchronous=NORMAL")  # with WAL: no wait for the disk at each commit
    return connection


class Persistence:
    """A database with its `checkpointer`, its `store` and its leases. Use it as a context manager.

    Args:
        url: See `database_path`. With an `InMemorySaver` of your own, None is a database in memory.
        checkpointer: Your own checkpointer, which holds the states instead of the database.
        store: Your own store, which holds everything else of the threads instead of the database.

    Attributes:
        checkpointer: Saves the states.
        store: Holds the shared memory, the list of threads, reviews, decisions and spending.
        watch: Tells work in progress of rows that other processes write to the store.

    Raises:
        ConfigError: The URL has an unknown scheme, or the checkpointer or the store is none.
        PersistenceError: The file cannot be opened, or is no SQLite database.
    """

    def __init__(
        self,
        url: str | Path | None = None,
        *,
        checkpointer: AnySaver | None = None,
        store: BaseStore | None = None,
    ) -> None:
        expect((str, Path, NoneType), url, "db", "a path, or a URL such as sqlite:///runs.db")
        expect((BaseCheckpointSaver, NoneType), checkpointer, "checkpointer", _CHECKPOINTER)
        expect((BaseStore, NoneType), store, "store", "a store of LangGraph, such as InMemoryStore()")
        if url is None and isinstance(checkpointer, InMemorySaver):
            url = "memory://"
        self.url = str(url or default_url())
        self.path = database_path(self.url)
        self.where = str(self.path or "memory")
        # One connection: over two, the writes of a few hundred concurrent runs meet as "database is locked".
        lock = threading.Lock()
        try:
            if self.path is not None:
                make_private_folder(self.path.parent)
                _check_kind(self.path)
                make_private_file(self.path)  # SQLite gives its journals the mode of the database
            self._conn = _connect(self.path)
            self._store = Store(self._conn, lock, self.where)
            # The journal is in the store. Checkpoints can take records along only if both are one database.
            self._saver = Saver(self._conn, lock, self.where, self._store.riders if store is None else None)
            set_up(self._saver, self._store, BUSY_TIMEOUT_S)
        except OSError as error:
            raise PersistenceError(f"cannot create {self.where}: {error.strerror or error}") from error
        except sqlite3.Error as error:
            raise explain_sqlite(error, self.where) from error
        self.checkpointer: AnySaver = self._saver if checkpointer is None else adapted_saver(checkpointer)
        self.store: BaseStore = self._store if store is None else store
        self._leases = Leases(self.path)
        self.watch = watch_of(self.store)
        forget_in_children(self)

    def forget_parent(self) -> None:
        """Open a connection of this process; a connection of SQLite must not be carried across a fork."""
        if self.path is not None:
            keep_for_ever(self._conn)  # to close it would drop the locks that the parent holds on the file
            self._conn = _connect(self.path)
        lock = threading.Lock()
        for part in (self._saver, self._store):
            part.conn, part.lock = self._conn, lock
        self._store.riders.forget()
        self._leases = Leases(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. The object cannot be used afterwards."""
        self._conn.close()

    def thread_ids(self) -> builtins.list[str]:
        """Return the ids of all threads with a checkpoint. A checkpointer of the user's own is not searched."""
        if self.checkpointer is not self._saver:
            return []  # LangGraph offers no list of threads, and to read every checkpoint would take for ever
        with self._saver.cursor(transaction=False) as cursor:
            return [row[0] for row in cursor.execute("SELECT DISTINCT thread_id FROM checkpoints ORDER BY thread_id")]

    async def has_thread(self, thread_id: str) -> bool:
        """True if a thread has a checkpoint."""
        if self.checkpointer is not self._saver:
            return await self.checkpointer.aget_tuple({"configurable": {"thread_id": thread_id}}) is not None
        with self._saver.cursor(transaction=False) as cursor:
            return bool(
                cursor.execute("SELECT 1 FROM checkpoints WHERE thread_id = ? LIMIT 1", (thread_id,)).fetchone()
            )

    def lease(self, thread_id: str) -> contextlib.AbstractContextManager[str]:
        """Hold a thread for this process; see `Leases.hold`."""
        return self._leases.hold(thread_id)

    @contextlib.asynccontextmanager
    async def lease_soon(self, thread_id: str) -> AsyncIterator[None]:
        """Like `lease`, after a run of this process that is being cancelled has let go; see `Leases.wait`."""
        self.check_loop()
        await self._leases.wait(thread_id)
        with self.lease(thread_id):
            yield

    def is_leased(self, thread_id: str) -> bool:
        """True if a process runs this thread now."""
        return self._leases.is_held(thread_id)

    def run_of(self, thread_id: str) -> str:
        """Return the run that holds this thread now; empty if none does. See `Leases.run_of`."""
        return self._leases.run_of(thread_id)

    def forget(self, thread_id: str) -> None:
        """Delete the lock of a deleted thread. Call this last, and under the thread's lease."""
        self._leases.forget(thread_id)

    def check_loop(self) -> None:
        """Refuse a checkpointer or store of the user's own that belongs to another event loop.

        Raises:
            ConfigError: One does.
        """
        for part in (self.checkpointer, self.store):
            if part is not self._saver and part is not self._store:
                check_loop(part)

    def protect_workspaces(self) -> None:
        """Create the folder of all workspaces for the owner alone: tools may write files that all may read.

        Raises:
            PersistenceError: The folder cannot be created.
        """
        if self.path is None:
            return
        folder = workspaces_beside(self.path)
        try:
            make_private_folder(folder)
        except OSError as error:
            raise PersistenceError(f"cannot create {folder}: {error.strerror or error}") from error

    def vacuum(self) -> None:
        """Return the space of deleted threads to the file system."""
        with self._saver.cursor(transaction=False) as cursor:
            cursor.execute("VACUUM")


def open_database(
    db: str | Path | Persistence | None, checkpointer: AnySaver | None = None, store: BaseStore | None = None
) -> Persistence:
    """Return the database itself if it is open already, or open the one of this path or URL.

    Args:
        db: The database.
        checkpointer: A checkpointer of the user's own.
        store: A store of the user's own.

    Raises:
        ConfigError: An open database is given, and a checkpointer or store besides.
    """
    if not isinstance(db, Persistence):
        return Persistence(db, checkpointer=checkpointer, store=store)
    if checkpointer is not None or store is not None:
        raise ConfigError("an open Persistence has its own store: give them to it, as in Persistence(db, store=…)")
    return db
