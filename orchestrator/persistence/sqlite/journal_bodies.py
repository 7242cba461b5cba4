"""Long texts of journals in SQLite: each is stored once on its thread, compressed.

The message that a worker gets quotes the results of other sub-tasks. It is stored as its own words, with the digests of
the results between them. A text that is made so is whole again when it is read, and its own digest covers the whole.
"""

import sqlite3
import zlib
from collections.abc import Mapping, Sequence

import orjson

from orchestrator.persistence.hash_chain import body_digest
from orchestrator.trust import data_blocks

SCRIPT = """CREATE TABLE IF NOT EXISTS journal_bodies (
        thread TEXT NOT NULL, digest BLOB NOT NULL, body BLOB NOT NULL, PRIMARY KEY (thread, digest)
    ) WITHOUT ROWID"""

_QUOTE_CHARS = 500  # a shorter quotation takes hardly more room than its digest
_SMALL_BYTES = 8192
# The first byte of a body. None of these begins a stream of zlib.
_QUOTING = b"["
_PACKED_QUOTING = b"]"


def put_bodies(cursor: sqlite3.Cursor, thread: str, bodies: Mapping[str, str]) -> None:
    """Store texts that the thread does not have yet.

    Args:
        cursor: The cursor, in a transaction.
        thread: The thread.
        bodies: The texts by digest.
    """
    quotations = {digest: _quotations(body) for digest, body in bodies.items()}
    quoted = {quotation[2] for each in quotations.values() for quotation in each}
    digests = [bytes.fromhex(digest) for digest in {*bodies, *quoted}]
    # Looked up first: to compress a text takes ten times as long, and the prompt of a worker comes with each sub-task.
    marks = ", ".join("?" * len(digests))
    query = f"SELECT digest FROM journal_bodies WHERE thread = ? AND digest IN ({marks})"
    stored = {digest.hex() for (digest,) in cursor.execute(query, (thread, *digests))}
    for digest, body in sorted(bodies.items(), key=lambda pair: len(pair[1])):  # a quoted text before the one around it
        if digest not in stored:
            # A quotation holds no end of another one, and so never quotes: a text is read in two steps.
            form = _form(body, [each for each in quotations[digest] if each[2] in stored])
            cursor.execute("INSERT INTO journal_bodies VALUES (?, ?, ?)", (thread, bytes.fromhex(digest), form))
            stored.add(digest)


def get_body(cursor: sqlite3.Cursor, thread: str, digest: str) -> str | None:
    """Return a text by its digest; None if it is not there, or lacks a text that it quotes.

    Raises:
        ValueError, zlib.error: It cannot be read.
    """
    stored = _row(cursor, thread, digest)
    if stored is None:
        return None
    if stored[:1] == _PACKED_QUOTING:
        stored = zlib.decompress(stored[1:])
    elif stored[:1] != _QUOTING:
        return zlib.decompress(stored).decode()
    words: list[str] = []
    for part in orjson.loads(stored):
        if isinstance(part, str):
            words.append(part)
            continue
        quoted = _row(cursor, thread, str(part[0]))
        if quoted is None:
            return None
        words.append(zlib.decompress(quoted).decode())
    return "".join(words)


def _row(cursor: sqlite3.Cursor, thread: str, digest: str) -> bytes | None:
    query = "SELECT body FROM journal_bodies WHERE thread = ? AND digest = ?"
    row = cursor.execute(query, (thread, bytes.fromhex(digest))).fetchone()
    return None if row is None else row[0]


def delete_body(cursor: sqlite3.Cursor, thread: str, digest: str) -> None:
    """Delete a text."""
    cursor.execute("DELETE FROM journal_bodies WHERE thread = ? AND digest = ?", (thread, bytes.fromhex(digest)))


def digests_of(cursor: sqlite3.Cursor, thread: str, limit: int, offset: int) -> list[str]:
    """Return the digests of a thread's texts, by pages."""
    query = "SELECT digest FROM journal_bodies WHERE thread = ? ORDER BY digest LIMIT ? OFFSET ?"
    return [digest.hex() for (digest,) in cursor.execute(query, (thread, limit, offset))]


def _quotations(body: str) -> list[tuple[int, int, str]]:
    """Return where the longer quotations in a text begin and end, with their digests."""
    blocks = [(start, end) for start, end in data_blocks(body) if end - start > _QUOTE_CHARS]
    return [(start, end, body_digest(body[start:end])) for start, end in blocks]


def _form(body: str, quotations: Sequence[tuple[int, int, str]]) -> bytes:
    """Return the form in which a text is stored.

    Args:
        body: The text.
        quotations: Those that the thread has as texts of their own.
    """
    parts: list[str | list[str]] = []
    rest = 0
    for start, end, digest in quotations:
        parts += [body[rest:start], [digest]]
        rest = end
    if not parts:
        return _compressed(body.encode("utf-8", "replace"))
    quoting = orjson.dumps([*parts, body[rest:]])
    return quoting if len(quoting) <= 2 * _QUOTE_CHARS else _PACKED_QUOTING + _compressed(quoting)


def _compressed(data: bytes) -> bytes:
    # By the quickest level, which halves prose. zlib's own window of 32 KB is fetched from the system and filled with
    # zeros each time: with one of 4 KB, a text of 1 KB takes a third less.
    packer = zlib.compressobj(1, zlib.DEFLATED, 12, 5) if len(data) <= _SMALL_BYTES else zlib.compressobj(1)
    return packer.compress(data) + packer.flush()
