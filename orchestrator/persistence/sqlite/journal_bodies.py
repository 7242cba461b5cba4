"""Long texts of journals in SQLite: each is stored once on its thread, compressed."""

import sqlite3
import zlib
from collections.abc import Mapping

SCRIPT = """CREATE TABLE IF NOT EXISTS journal_bodies (
        thread TEXT NOT NULL, digest BLOB NOT NULL, body BLOB NOT NULL, PRIMARY KEY (thread, digest)
    ) WITHOUT ROWID"""

_SMALL_BYTES = 8192


def put_bodies(cursor: sqlite3.Cursor, thread: str, bodies: Mapping[str, str]) -> None:
    """Store texts that the thread does not have yet.

    Args:
        cursor: The cursor, in a transaction.
        thread: The thread.
        bodies: The texts by digest.
    """
    digests = [bytes.fromhex(digest) for digest in bodies]
    # Looked up first: to compress a text takes ten times as long, and the prompt of a worker comes with each sub-task.
    marks = ", ".join("?" * len(digests))
    query = f"SELECT digest FROM journal_bodies WHERE thread = ? AND digest IN ({marks})"
    stored = {digest.hex() for (digest,) in cursor.execute(query, (thread, *digests))}
    rows = [
        (thread, bytes.fromhex(digest), _compressed(body.encode("utf-8", "replace")))
        for digest, body in bodies.items()
        if digest not in stored
    ]
    cursor.executemany("INSERT INTO journal_bodies VALUES (?, ?, ?)", rows)


def get_body(cursor: sqlite3.Cursor, thread: str, digest: str) -> str | None:
    """Return a text by its digest; None if it is not there.

    Raises:
        ValueError, zlib.error: It cannot be read.
    """
    query = "SELECT body FROM journal_bodies WHERE thread = ? AND digest = ?"
    row = cursor.execute(query, (thread, bytes.fromhex(digest))).fetchone()
    return None if row is None else zlib.decompress(row[0]).decode()


def delete_body(cursor: sqlite3.Cursor, thread: str, digest: str) -> None:
    """Delete a text."""
    cursor.execute("DELETE FROM journal_bodies WHERE thread = ? AND digest = ?", (thread, bytes.fromhex(digest)))


def digests_of(cursor: sqlite3.Cursor, thread: str, limit: int, offset: int) -> list[str]:
    """Return the digests of a thread's texts, by pages."""
    query = "SELECT digest FROM journal_bodies WHERE thread = ? ORDER BY digest LIMIT ? OFFSET ?"
    return [digest.hex() for (digest,) in cursor.execute(query, (thread, limit, offset))]


def _compressed(data: bytes) -> bytes:
    # By the quickest level, which halves prose. zlib's own window of 32 KB is fetched from the system and filled with
    # zeros each time: with one of 4 KB, a text of 1 KB takes a third less.
    packer = zlib.compressobj(1, zlib.DEFLATED, 12, 5) if len(data) <= _SMALL_BYTES else zlib.compressobj(1)
    return packer.compress(data) + packer.flush()
