"""Rows of a database file, read without LangGraph, which takes over a second of CPU to load.

Only what plain SQL and JSON can say is read here: rows of the store by namespace, and the names of threads. States are
read by LangGraph alone, so that nothing else must know their form.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.persistence.damage import load_value

_BUSY_TIMEOUT_S = 10.0


def stored_rows(path: Path, namespace: tuple[str, ...]) -> dict[str, Any]:
    """Return the values of a namespace by key. A row that is no JSON has a text with the problem for a value.

    Raises:
        sqlite3.Error: The file cannot be read, or has no store.
    """
    with _reading(path) as connection:
        rows = connection.execute("SELECT key, value FROM store WHERE prefix = ?", (".".join(namespace),))
        return {key: load_value(value) for key, value in rows}


def threads_with_checkpoints(path: Path) -> list[str]:
    """Return the ids of all threads with a checkpoint, with those of a LangGraph server.

    Raises:
        sqlite3.Error: The file cannot be read, or has no checkpoints.
    """
    with _reading(path) as connection:
        return [row[0] for row in connection.execute("SELECT DISTINCT thread_id FROM checkpoints ORDER BY thread_id")]


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    # Not mode=ro: after a kill, SQLite must be able to recover the file. A missing file is not created.
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=_BUSY_TIMEOUT_S)
    try:
        connection.execute("PRAGMA query_only = 1")
        yield connection
    finally:
        connection.close()
