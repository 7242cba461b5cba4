"""The chain of hashes over the records of a journal: each hash covers its record and the hash before it."""

import hashlib


def first_hash(thread_id: str) -> bytes:
    """Return the hash that the first record of a thread follows."""
    return hashlib.sha256(f"journal of {thread_id}".encode("utf-8", "replace")).digest()


def next_hash(before: bytes, seq: int, text: str) -> bytes:
    """Return the hash of a record.

    Args:
        before: The hash of the record before it.
        seq: The number of the record.
        text: The record as it is stored.
    """
    return hashlib.sha256(b"%b%d %b" % (before, seq, text.encode())).digest()


def body_digest(body: str) -> str:
    """Return the name under which a long text is stored once."""
    return hashlib.sha256(body.encode()).hexdigest()
