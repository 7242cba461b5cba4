"""Errors of SQLite explained to a person."""

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import PersistenceError
from orchestrator.persistence.damage import UNREADABLE_ERRORS, problem_of, unreadable_thread


def _is_full(where: str) -> bool:
    """True if the disk has no room for the index of SQLite's journal."""
    # The index needs 32 KB, and without that room SQLite reports an "I/O error" instead of a full disk.
    try:
        return shutil.disk_usage(Path(where).parent).free < 64 * 1024
    except OSError:
        return False


def explain_sqlite(error: sqlite3.Error, where: str) -> PersistenceError:
    """Return an error for a person, with the problem of the database and what to do."""
    text = str(error)
    if "locked" in text or "busy" in text:
        return PersistenceError(
            f"the database {where} is locked by another program: close it, or choose another with --db"
        )
    if "not a database" in text or "malformed" in text or "encrypted" in text:
        return PersistenceError(
            f"{where} is not a SQLite database, or it is damaged ({text}): restore it from a copy, or choose "
            "another with --db"
        )
    if "disk is full" in text or ("disk I/O error" in text and _is_full(where)):
        return PersistenceError(f"no space left to write {where}: free some, then resume the thread")
    if "locking protocol" in text:
        return PersistenceError(
            f"the database {where} cannot be locked ({text}): it lies on a network drive, or another program holds its "
            "-shm file; move it to a local disk, or choose another with --db"
        )
    if "disk I/O error" in text:
        return PersistenceError(
            f"the disk of {where} failed ({text}): check the disk or the network drive, then resume the thread"
        )
    if "readonly" in text or "unable to open" in text:
        return PersistenceError(f"cannot open {where} for writing ({text}): check the path and its permissions")
    return PersistenceError(f"the database {where} failed: {text}")


@contextlib.contextmanager
def reading(where: str, thread_id: str = "") -> Iterator[None]:
    """Explain errors of deserialization inside the block: the data is damaged on disk.

    Args:
        where: The database.
        thread_id: The thread whose data is read, if it is of one thread.

    Raises:
        PersistenceError: A value cannot be deserialized.
    """
    try:
        yield
    except UNREADABLE_ERRORS as error:
        if thread_id:
            raise unreadable_thread(thread_id, error) from error
        cause = problem_of(error)
        raise PersistenceError(
            f"{where} is damaged ({cause}): restore it from a copy, or choose another with --db"
        ) from error
