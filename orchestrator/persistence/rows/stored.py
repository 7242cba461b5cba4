"""Rows of a database file, read without LangGraph, which takes over a second of CPU to load.

`StoredRows` stands in for LangGraph's store where rows are only read: `rows.pages` serves both.
"""

import sqlite3
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from orchestrator.persistence.damage import load_value
from orchestrator.persistence.namespaces import BODIES, JOURNAL, thread_of

_BUSY_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class StoredItem:
    """A row of the store.

    Args:
        key: Its key.
        value: Its value. A row that is no JSON has a text with the problem for a value.
        created_at: The time at which it was written first, in the form of SQLite, which sorts as the time does.
    """

    key: str
    value: Any
    created_at: str = ""


class StoredRows:
    """The rows of a database file, for reading. Use it as a context manager.

    Args:
        path: The file.

    Raises:
        sqlite3.Error: The file cannot be read. Every method raises it too.
    """

    def __init__(self, path: Path) -> None:
        # Not mode=ro: after a kill, SQLite must be able to recover the file. A missing file is not created.
        self.connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=_BUSY_TIMEOUT_S, check_same_thread=False
        )
        self.connection.execute("PRAGMA query_only = 1")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def items(self, namespace: Sequence[str]) -> list[StoredItem]:
        """Return all items of a namespace of the store."""
        query = "SELECT key, value, created_at FROM store WHERE prefix = ?"
        rows = self.connection.execute(query, (".".join(namespace),)).fetchall()
        return [StoredItem(key, load_value(value), str(created)) for key, value, created in rows]

    def items_under(self, namespace: Sequence[str], but: str) -> dict[str, dict[str, Any]]:
        """Return the values of all namespaces right under one, by their last label and then by key.

        Args:
            namespace: The namespace.
            but: The key of the items that are left out.
        """
        start, found = ".".join(namespace) + ".", dict[str, dict[str, Any]]()
        # A range and not LIKE, which takes no index here. "/" is the character behind "."
        query = "SELECT prefix, key, value FROM store WHERE prefix >= ? AND prefix < ? AND key <> ?"
        for prefix, key, value in self.connection.execute(query, (start, start[:-1] + "/", but)):
            found.setdefault(prefix[len(start) :], {})[key] = load_value(value)
        return found

    def find(self, namespace: Sequence[str], key: str) -> StoredItem | None:
        """Return the item with a key, or None; of the long texts of a journal, the one with a digest."""
        # The long texts have a table of their own, compressed; see `sqlite.journal_table`.
        if namespace[1] == BODIES:
            query = "SELECT body FROM journal_bodies WHERE thread = ? AND digest = ?"
            row = self.connection.execute(query, (thread_of(tuple(namespace)), bytes.fromhex(key))).fetchone()
            return None if row is None else StoredItem(key, {"body": zlib.decompress(row[0]).decode()})
        query = "SELECT value, created_at FROM store WHERE prefix = ? AND key = ?"
        row = self.connection.execute(query, (".".join(namespace), key)).fetchone()
        return None if row is None else StoredItem(key, load_value(row[0]), str(row[1]))

    def records(self, namespace: Sequence[str], since: int) -> list[dict[str, Any]]:
        """Return the rows of the records of a journal with higher numbers, in order."""
        assert namespace[1] == JOURNAL
        query = "SELECT seq, key, record, hash FROM journal WHERE thread = ? AND seq > ? ORDER BY seq"
        rows = self.connection.execute(query, (thread_of(tuple(namespace)), since)).fetchall()
        return [{"seq": seq, "key": key or "", "text": text, "hash": hash_.hex()} for seq, key, text, hash_ in rows]

    def threads_with_checkpoints(self) -> list[str]:
        """Return the ids of all threads with a checkpoint, with those of a LangGraph server."""
        query = "SELECT DISTINCT thread_id FROM checkpoints ORDER BY thread_id"
        return [row[0] for row in self.connection.execute(query)]
