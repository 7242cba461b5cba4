"""The threads of a database for a person to look at, read without LangGraph wherever that suffices."""

import sqlite3
from dataclasses import replace
from pathlib import Path

from orchestrator.persistence.leases import Leases
from orchestrator.persistence.location import database_path, default_url
from orchestrator.persistence.namespaces import THREADS
from orchestrator.persistence.rows.stored import StoredRows
from orchestrator.runs.threads.record import ThreadRecord


def list_threads(db: str | Path | None) -> list[ThreadRecord]:
    """Return every thread of a database, newest first. The status of a killed run is `interrupted`.

    Args:
        db: Database URL or path; None for the one under the user's data folder.

    Raises:
        ConfigError: The URL has an unknown scheme.
        PersistenceError: The file cannot be read.
    """
    path = database_path(str(db or default_url()))
    if path is None or not path.exists():
        return []
    records = _recorded(path)
    if records is None:
        records = _with_client(db)
    leases = Leases(path)
    return [_as_it_is(record, leases) for record in records]


def _as_it_is(record: ThreadRecord, leases: Leases) -> ThreadRecord:
    # A killed run leaves its status behind. Its lease died with the process.
    is_killed = record.status == "running" and not leases.is_held(record.id)
    return replace(record, status="interrupted") if is_killed else record


def _recorded(path: Path) -> list[ThreadRecord] | None:
    """Return the records of all threads, or None if the file has to be opened by LangGraph."""
    if not path.is_file():
        return None
    try:
        with StoredRows(path) as rows:
            records = [ThreadRecord.parse(item.key, item.value) for item in rows.items(THREADS)]
            # Threads of a LangGraph server have no record, and their task and status are in their state.
            if not {record.id for record in records}.issuperset(rows.threads_with_checkpoints()):
                return None
    except sqlite3.Error:
        return None  # to open the file the whole way finishes a half-made one, and words the error of a damaged one
    return sorted(records, key=lambda record: -record.created)


def _with_client(db: str | Path | None) -> list[ThreadRecord]:
    from orchestrator.runs.client import OrchestratorClient

    with OrchestratorClient(db) as client:
        return client.threads()
