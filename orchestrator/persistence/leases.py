"""Leases: at most one process runs a thread.

A lease is an operating system lock on a file beside the database. The system releases the lock when the process ends,
so the thread of a killed process can be resumed at once.

Each time that a thread is held has a name of its own, its run. An order to a run names the run, so that the order
cannot reach a later one.
"""

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import filelock

from orchestrator.errors import PersistenceError, ThreadBusyError
from orchestrator.forks import after_fork
from orchestrator.persistence.private_files import FILE_MODE, make_private_folder, write_private_file

_PATIENCE_S = 0.2  # `is_held` of another process holds the lock for a moment
UNSIGNED = "unsigned"  # the lock is taken, and its holder has not written its name yet
_LONGEST_END_S = 5.0  # of a run that is being cancelled
_CHECK_S = 0.01

# The asyncio tasks that hold leases in this process, of all `Leases` of a database; None for a holder without a loop.
_HOLDERS: dict[tuple[str, str], "asyncio.Task[object] | None"] = {}
after_fork(_HOLDERS.clear)


class Leases:
    """The leases of one database.

    Args:
        database: The file of the database; None for one in memory, which no other process can open.
    """

    def __init__(self, database: Path | None) -> None:
        self._database = database
        self._held: dict[str, str] = {}  # the runs by thread; for a database in memory, which has no lock files, too
        self._name = str(id(self)) if database is None else str(database.resolve())

    @contextlib.contextmanager
    def hold(self, thread_id: str, *, patience_s: float = _PATIENCE_S) -> Iterator[str]:
        """Hold a thread, so that no other process or run resumes the thread or changes its state. Yield the run.

        Args:
            thread_id: The thread.
            patience_s: Seconds to wait for another process to release the thread.

        Raises:
            ThreadBusyError: Another process, or another run in this process, holds the thread.
            PersistenceError: The lock file cannot be created.
        """
        if thread_id in self._held:
            raise ThreadBusyError(f"thread '{thread_id}' is already being run by this process")
        run = f"{os.getpid()} {secrets.token_hex(8)}"
        with contextlib.ExitStack() as stack:
            if self._database is not None:
                self._lock(self._database, thread_id, stack, patience_s)
                self._sign(self._database, thread_id, run, stack)
            self._held[thread_id] = run
            _HOLDERS[self._name, thread_id] = _current_task()
            try:
                yield run
            finally:
                self._held.pop(thread_id, None)
                _HOLDERS.pop((self._name, thread_id), None)

    async def wait(self, thread_id: str) -> None:
        """Wait, for some seconds at most, while a run of this process that is being cancelled lets go of a thread.

        A run that is at work is waited for only for a moment. The loop needs that moment to close a stream whose
        reader was cancelled, and so to cancel the run of the stream.
        """
        began = time.monotonic()
        while (key := (self._name, thread_id)) in _HOLDERS:
            holder = _HOLDERS[key]
            is_ending = holder is not None and holder.cancelling() > 0
            if time.monotonic() - began > (_LONGEST_END_S if is_ending else _PATIENCE_S):
                return
            await asyncio.sleep(_CHECK_S)

    def is_held(self, thread_id: str) -> bool:
        """True if a process runs this thread now."""
        if thread_id in self._held or self._database is None:
            return thread_id in self._held
        try:
            with contextlib.ExitStack() as stack:
                self._lock(self._database, thread_id, stack, 0)
                return False
        except ThreadBusyError:
            return True

    def run_of(self, thread_id: str) -> str:
        """Return the run that holds this thread now, in whichever process; empty if none does."""
        if (run := self._held.get(thread_id)) is not None:
            return run
        if self._database is None or not self.is_held(thread_id):
            return ""
        return _signature(_lock_path(self._database, thread_id)) or UNSIGNED

    def forget(self, thread_id: str) -> None:
        """Delete the lock of a deleted thread. Call this last, and under the thread's lease."""
        if self._database is None:
            return
        path = _lock_path(self._database, thread_id)
        _holder_path(path).unlink(missing_ok=True)
        with contextlib.suppress(PermissionError):  # Windows keeps an open file; an empty one does no harm
            path.unlink(missing_ok=True)

    def _lock(self, database: Path, thread_id: str, stack: contextlib.ExitStack, patience_s: float) -> None:
        path = _lock_path(database, thread_id)
        try:
            make_private_folder(path.parent)
            lock = filelock.FileLock(path, patience_s, FILE_MODE, poll_interval=0.02, is_singleton=False)
            stack.enter_context(lock)
        except filelock.Timeout:
            holder = _holder(path)
            who = f"process {holder}" if holder else "another process"
            raise ThreadBusyError(
                f"thread '{thread_id}' is being run by {who}: wait for it, or end it, and try again"
            ) from None
        except OSError as error:
            raise PersistenceError(f"cannot lock thread '{thread_id}' beside {database}: {error.strerror}") from error

    def _sign(self, database: Path, thread_id: str, run: str, stack: contextlib.ExitStack) -> None:
        """Write beside the lock which run holds it, for as long as the run holds it."""
        path = _holder_path(_lock_path(database, thread_id))
        try:
            write_private_file(path, run)
        except OSError as error:
            raise PersistenceError(f"cannot lock thread '{thread_id}' beside {database}: {error.strerror}") from error
        stack.callback(_remove, path)  # before the lock is released, so that nobody takes the run for the next one


def _current_task() -> "asyncio.Task[object] | None":
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop in this thread
        return None


def _lock_path(database: Path, thread_id: str) -> Path:
    return database.with_name(database.name + ".locks") / (quote(thread_id, safe="") + ".lock")


def _holder_path(lock_path: Path) -> Path:
    return lock_path.with_suffix(".pid")  # not in the lock file itself: Windows refuses to read or write that


def _holder(lock_path: Path) -> str:
    """Return the id of the process that holds a lock; empty where it is not known."""
    return _signature(lock_path).partition(" ")[0]


def _signature(lock_path: Path) -> str:
    try:
        return _holder_path(lock_path).read_text().strip()
    except OSError:
        return ""


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # Windows keeps a file that is being read; an old signature does no harm
        path.unlink(missing_ok=True)
