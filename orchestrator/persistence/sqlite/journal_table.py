"""JournalTable: the journals of all threads in SQLite, append-only, in the transactions of the store.

The engine's `Store` keeps two namespaces of a thread here instead of among its other rows: the records of the journal,
and the long texts in them. A record gets its number and its hash inside the transaction that writes it, so any process
may append, and nothing is numbered twice.

A record with a key is written once: the same key again changes nothing. So work that a killed process had done, and
that is done again, tells no fact twice.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from langgraph.store.base import GetOp, Item, PutOp, SearchItem, SearchOp

from orchestrator.persistence.hash_chain import first_hash, next_hash
from orchestrator.persistence.namespaces import BODIES, JOURNAL, ROOT, thread_of
from orchestrator.persistence.sqlite import journal_bodies

_HEAD_CHARS = 80
_NEWEST = "SELECT seq, hash FROM journal WHERE thread = ? ORDER BY seq DESC LIMIT 1"
_APPEND = "INSERT INTO journal VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_UNKNOWN = datetime.fromtimestamp(0, UTC)  # of an item: a record has the time in its text
# Without a rowid the primary key is the table, in the order in which it is read.
_SCRIPT = (
    """CREATE TABLE IF NOT EXISTS journal (
        thread TEXT NOT NULL, seq INTEGER NOT NULL, key TEXT, record TEXT NOT NULL, hash BLOB NOT NULL,
        PRIMARY KEY (thread, seq)
    ) WITHOUT ROWID""",
    "CREATE UNIQUE INDEX IF NOT EXISTS journal_keys ON journal (thread, key) WHERE key IS NOT NULL",
    journal_bodies.SCRIPT,
    """CREATE TRIGGER IF NOT EXISTS journal_is_append_only BEFORE UPDATE ON journal
        BEGIN SELECT RAISE(ABORT, 'a journal is only appended to'); END""",
)


def create_journal(connection: sqlite3.Connection) -> None:
    """Create the tables. The caller has begun a transaction."""
    for statement in _SCRIPT:
        connection.execute(statement)


def has_journal(names: Iterable[str]) -> bool:
    """True if the tables are among those of a database."""
    return {"journal", "journal_bodies"} <= set(names)


def is_of_journal(namespace: Sequence[str]) -> bool:
    """True for a namespace whose items are kept in these tables."""
    return len(namespace) == 3 and namespace[0] == ROOT and namespace[1] in (JOURNAL, BODIES)


def put(cursor: sqlite3.Cursor, ops: Iterable[PutOp]) -> None:
    """Carry out the writes to these namespaces, inside the caller's transaction."""
    appended: dict[tuple[str, ...], list[PutOp]] = {}
    bodies: dict[tuple[str, ...], dict[str, str]] = {}
    for op in ops:
        place, value = op.namespace, op.value
        is_record = place[1] == JOURNAL
        if value is None:
            if is_record:
                thread_and_seq = (thread_of(place), int(op.key))
                cursor.execute("DELETE FROM journal WHERE thread = ? AND seq = ?", thread_and_seq)
            else:
                journal_bodies.delete_body(cursor, thread_of(place), op.key)
        elif not is_record:
            bodies.setdefault(place, {})[op.key] = value["body"]
        # A store around this one may let the engine number the records. They are numbered anew, and have no head.
        elif "text" in value:
            appended.setdefault(place, []).append(op)
    for place, texts in bodies.items():
        journal_bodies.put_bodies(cursor, thread_of(place), texts)
    for place, records in appended.items():
        append(cursor, thread_of(place), records)


def append(cursor: sqlite3.Cursor, thread: str, records: Sequence[PutOp]) -> None:
    """Append records to the journal of a thread. The caller's transaction holds SQLite's lock for writing.

    Args:
        cursor: The cursor.
        thread: The thread.
        records: The writes of the records, as `Fact.ops` gives them.
    """
    newest = cursor.execute(_NEWEST, (thread,)).fetchone()
    seq, before = newest or (0, first_hash(thread))
    for op in records:
        value = op.value or {}
        text = value["text"]
        after = next_hash(before, seq + 1, text)
        cursor.execute(_APPEND, (thread, seq + 1, value.get("key", op.key) or None, text, after))
        if cursor.rowcount == 1:  # otherwise the fact with this key has been told
            seq, before = seq + 1, after


def lock(cursor: sqlite3.Cursor) -> None:
    """Take SQLite's lock for writing: a transaction that reads first fails if another process has written since."""
    # A statement that may write takes it, even if it changes nothing.
    cursor.execute("DELETE FROM journal WHERE thread = '' AND seq < 0")


def search(cursor: sqlite3.Cursor, op: SearchOp) -> list[SearchItem]:
    """Return records, oldest first, or the digests of bodies.

    Args:
        cursor: The cursor.
        op: The search. Of filters, only `{"seq": {"$gt": number}, "kind": {"$in": names}}` is known, or a part of it.
    """
    thread, namespace = thread_of(op.namespace_prefix), op.namespace_prefix
    if namespace[1] == BODIES:
        digests = journal_bodies.digests_of(cursor, thread, op.limit, op.offset)
        return [_item(namespace, digest, {}) for digest in digests]
    wanted = op.filter or {}
    kinds: Sequence[str] = wanted.get("kind", {}).get("$in", ())
    # The kind follows the time, at the beginning of a record. To parse the record would take several times as long.
    of_kinds = " OR ".join([f"instr(substr(record, 1, {_HEAD_CHARS}), ?)"] * len(kinds)) or "1"
    query = f"""SELECT seq, key, record, hash FROM journal WHERE thread = ? AND seq > ? AND ({of_kinds})
        ORDER BY seq LIMIT ? OFFSET ?"""
    marks = [f'"kind":"{kind}"' for kind in kinds]
    after = wanted.get("seq", {}).get("$gt", 0)
    rows = cursor.execute(query, (thread, after, *marks, op.limit, op.offset)).fetchall()
    return [
        _item(namespace, str(seq), {"seq": seq, "key": key or "", "text": text, "hash": hash_.hex()})
        for seq, key, text, hash_ in rows
    ]


def _item(namespace: tuple[str, ...], key: str, value: dict[str, Any]) -> SearchItem:
    return SearchItem(namespace, key, value, _UNKNOWN, _UNKNOWN, None)


def get(cursor: sqlite3.Cursor, op: GetOp) -> Item | None:
    """Return a body by its digest, or an item without a value for the key of a fact that has been told."""
    thread = thread_of(op.namespace)
    if op.namespace[1] != BODIES:
        query = "SELECT 1 FROM journal WHERE thread = ? AND key = ?"
        is_told = cursor.execute(query, (thread, op.key)).fetchone() is not None
        return (
            Item(value={}, key=op.key, namespace=op.namespace, created_at=_UNKNOWN, updated_at=_UNKNOWN)
            if is_told
            else None
        )
    body = journal_bodies.get_body(cursor, thread, op.key)
    if body is None:
        return None
    return Item(value={"body": body}, key=op.key, namespace=op.namespace, created_at=_UNKNOWN, updated_at=_UNKNOWN)
