"""ThreadReader: looking at threads without LangGraph, which takes over a second of CPU to load."""

import contextlib
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from orchestrator.concurrency import AWAITING, run_blocking
from orchestrator.errors import PersistenceError
from orchestrator.graph.saved.plain_state import SavedState, UnsureError, read_state
from orchestrator.journal.reading import read_journal
from orchestrator.journal.record import JournalRecord
from orchestrator.journal.verification import JournalCheck, verify_journal
from orchestrator.logs import logger
from orchestrator.persistence.leases import Leases
from orchestrator.persistence.location import database_path, default_url
from orchestrator.persistence.namespaces import THREADS
from orchestrator.persistence.rows.stored import StoredRows
from orchestrator.persistence.workspace import workspace_of
from orchestrator.reviews.review import Review
from orchestrator.runs.run import Run
from orchestrator.runs.threads.listing import list_threads
from orchestrator.runs.threads.reading import (
    as_told,
    half_deleted,
    reading_thread,
    run_of,
    shown_run,
    unanswered,
    unknown_thread,
)
from orchestrator.runs.threads.record import DELETING, MAY_WAIT, UNREADABLE, ThreadRecord
from orchestrator.text import sound

if TYPE_CHECKING:
    from orchestrator.runs.client import OrchestratorClient

_LOOK_S = 0.25  # a look costs one indexed query
T = TypeVar("T")
_log = logger(__name__)


class ThreadReader:
    """The threads of a database file, for those who only look. Use it as a context manager.

    It reads rows by SQL, and what is stored in another form than usual through an `OrchestratorClient`.

    Args:
        db: Database URL or path; None for the one under the user's data folder.

    Raises:
        ConfigError: The URL has an unknown scheme.
    """

    def __init__(self, db: str | Path | None) -> None:
        self._db = db
        self._path = database_path(str(db or default_url()))
        self._leases = Leases(self._path)
        self._client: OrchestratorClient | None = None
        self._stack = contextlib.ExitStack()
        self._rows: StoredRows | None = None
        if self._path is not None and self._path.is_file():
            with contextlib.suppress(sqlite3.Error):
                self._rows = self._stack.enter_context(StoredRows(self._path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def is_running(self, thread_id: str) -> bool:
        """True if a process runs this thread now."""
        return self._leases.is_held(thread_id)

    def show(self, thread_id: str) -> Run:
        """Return the state of a thread; see `OrchestratorClient.show`."""

        def by_rows(rows: StoredRows) -> Run:
            record = self._check(rows, thread_id)
            run = run_blocking(shown_run(rows, thread_id, _newest(rows, thread_id), self._workspace_of(thread_id)))
            return as_told(run, record, is_running=self.is_running(thread_id))

        return self._read(by_rows, lambda client: client.show(thread_id))

    def reviews(self, thread_id: str | None = None) -> list[Review]:
        """Return the open reviews of one thread, or of all; see `OrchestratorClient.reviews`."""
        if thread_id is not None:
            return self._reviews_of(thread_id)
        records = [record for record in list_threads(self._db) if record.status in MAY_WAIT]
        return [review for record in records for review in self._readable_reviews_of(record)]

    def journal(self, thread_id: str, since: int = 0) -> list[JournalRecord]:
        """Return what has happened on a thread; see `OrchestratorClient.journal`."""

        def by_rows(rows: StoredRows) -> list[JournalRecord]:
            self._check(rows, thread_id)
            return run_blocking(read_journal(AWAITING, rows, thread_id, since))

        return self._read(by_rows, lambda client: client.journal(thread_id, since))

    def follow(self, thread_id: str, since: int = 0) -> Iterator[JournalRecord]:
        """Yield what has happened on a thread, and then what happens; see `OrchestratorClient.follow`."""
        while True:
            # Asked before the reading, since a run writes its last records before it lets go of its thread.
            is_running = self.is_running(thread_id)
            # The engine's own table numbers each record once, so the newest number is enough to go on.
            for record in self.journal(thread_id, since):
                since = record.seq
                yield record
            if not is_running:
                return
            time.sleep(_LOOK_S)

    def verify_journal(self, thread_id: str, head: str = "") -> JournalCheck:
        """Check the journal of a thread; see `OrchestratorClient.verify_journal`."""

        def by_rows(rows: StoredRows) -> JournalCheck:
            self._check(rows, thread_id)
            return run_blocking(verify_journal(AWAITING, rows, thread_id, head))

        return self._read(by_rows, lambda client: client.verify_journal(thread_id, head))

    def _reviews_of(self, thread_id: str) -> list[Review]:
        def by_rows(rows: StoredRows) -> list[Review]:
            self._check(rows, thread_id)
            with reading_thread(thread_id):
                run = run_blocking(run_of(rows, thread_id, _newest(rows, thread_id), self._workspace_of(thread_id)))
            return run_blocking(unanswered(rows, run.reviews))

        return self._read(by_rows, lambda client: client.reviews(thread_id))

    def _readable_reviews_of(self, record: ThreadRecord) -> list[Review]:
        """Return the open reviews of a thread; one that cannot be read is told of and hides no other."""
        try:
            return self._reviews_of(record.id)
        except PersistenceError as error:
            _log.warning("%s", error)
            return []

    def _check(self, rows: StoredRows, thread_id: str) -> ThreadRecord:
        """Return the record of a thread.

        Raises:
            UnknownThreadError: There is none, or a process was killed while it deleted the thread.
            UnsureError: It has no record, or one that cannot be read.
        """
        item = rows.find(THREADS, thread_id) if sound(thread_id) == thread_id else None
        if item is None and thread_id not in rows.threads_with_checkpoints():
            raise unknown_thread(thread_id, str(self._path))
        record = None if item is None else ThreadRecord.parse(thread_id, item.value)
        # A LangGraph server lists its threads itself, and their task and status are in their state.
        if record is None or record.status == UNREADABLE:
            raise UnsureError
        if record.status == DELETING:
            raise half_deleted(thread_id)
        return record

    def _workspace_of(self, thread_id: str) -> Path:
        return workspace_of(self._path, thread_id)

    def _read(self, by_rows: Callable[[StoredRows], T], by_client: "Callable[[OrchestratorClient], T]") -> T:
        # Once the client is open, LangGraph is loaded, and its way is the surer one.
        if self._rows is not None and self._client is None:
            with contextlib.suppress(UnsureError, sqlite3.Error):
                return by_rows(self._rows)
        return by_client(self._opened())

    def _opened(self) -> "OrchestratorClient":
        """Return the client, opened. It also finishes a half-made file, and words the error of a damaged one."""
        if self._client is None:
            from orchestrator.runs.client import OrchestratorClient

            self._client = self._stack.enter_context(OrchestratorClient(self._db))
        return self._client


def _newest(rows: StoredRows, thread_id: str) -> Callable[[], Awaitable[SavedState]]:
    async def newest() -> SavedState:
        return read_state(rows.connection, thread_id)

    return newest
