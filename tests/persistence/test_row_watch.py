"""Telling running work of rows that others write: at once, once missed never, and for any store."""

import queue
import threading
from pathlib import Path
from typing import Any

import pytest
from langgraph.store.memory import InMemoryStore

from orchestrator.errors import PersistenceError
from orchestrator.persistence.database import Persistence
from orchestrator.persistence.row_watch import RowWatch

PLACE = ("orchestrator", "somewhere")
SOON_S = 5.0


def test_a_row_of_another_connection_is_told(tmp_path: Path) -> None:
    rows: queue.Queue[Any] = queue.Queue()
    with (
        Persistence(tmp_path / "x.db") as here,
        Persistence(tmp_path / "x.db") as there,
        here.watch.listening(PLACE, "k", rows.put),
    ):
        there.store.put(PLACE, "k", {"n": 1})
        assert rows.get(timeout=SOON_S) == {"n": 1}
        there.store.put(PLACE, "k", {"n": 2})
        while rows.get(timeout=SOON_S) != {"n": 2}:
            pass


def test_a_row_that_is_older_than_its_listener_is_told_too(tmp_path: Path) -> None:
    rows: queue.Queue[Any] = queue.Queue()
    with Persistence(tmp_path / "x.db") as here:
        here.store.put(PLACE, "k", {"n": 1})
        with here.watch.listening(PLACE, "other", rows.put), here.watch.listening(PLACE, "k", rows.put):
            assert rows.get(timeout=SOON_S) == {"n": 1}


def test_without_changes_no_row_is_read() -> None:
    looks, reads = threading.Semaphore(0), []

    class Still(InMemoryStore):
        def foreign_changes(self) -> int:
            looks.release()
            return 7

        def batch(self, ops: Any) -> Any:
            reads.append(1)
            return super().batch(ops)

    store = Still()
    with RowWatch(store).listening(PLACE, "k", lambda _: None):
        for _ in range(3):
            assert looks.acquire(timeout=SOON_S)
    assert len(reads) == 1  # for the new listener


def test_a_store_that_cannot_tell_is_read_each_time() -> None:
    store, rows = InMemoryStore(), queue.Queue[Any]()
    with RowWatch(store).listening(PLACE, "k", rows.put):
        store.put(PLACE, "k", {"n": 1})
        assert rows.get(timeout=SOON_S) == {"n": 1}
        assert rows.get(timeout=SOON_S) == {"n": 1}


def test_a_database_that_fails_once_is_read_again(caplog: pytest.LogCaptureFixture) -> None:
    rows: queue.Queue[Any] = queue.Queue()

    class Failing(InMemoryStore):
        failures = 1

        def foreign_changes(self) -> int:
            return 7

        def batch(self, ops: Any) -> Any:
            if self.failures:
                self.failures -= 1
                raise PersistenceError("the database is locked")
            return super().batch(ops)

    store = Failing()
    watch = RowWatch(store)
    with watch.listening(PLACE, "k", rows.put):
        while store.failures:
            watch.look()
        store.put(PLACE, "k", {"n": 1})
        watch.look()
        assert rows.get(timeout=SOON_S) == {"n": 1}
    assert "the database is locked" in caplog.text


def test_the_thread_ends_when_nobody_listens_and_comes_back() -> None:
    store, rows = InMemoryStore(), queue.Queue[Any]()
    watch = RowWatch(store)
    store.put(PLACE, "k", {"n": 1})
    for _ in range(2):
        before = set(threading.enumerate())  # watches of other tests may end any moment
        with watch.listening(PLACE, "k", rows.put):
            assert rows.get(timeout=SOON_S) == {"n": 1}
            [thread] = set(threading.enumerate()) - before
        watch.look()
        thread.join(SOON_S)
        assert not thread.is_alive()
