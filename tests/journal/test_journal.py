"""A journal tells each fact once, in order, in the transaction of the thing that it tells of."""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.store.base import BaseStore, Op, PutOp, Result
from langgraph.store.memory import InMemoryStore

from orchestrator.concurrency import BLOCKING, run_blocking
from orchestrator.journal.fact import Fact
from orchestrator.journal.journal import Journal
from orchestrator.journal.reading import forget_journal, read_journal
from orchestrator.journal.record import JournalRecord
from orchestrator.journal.verification import JournalCheck, verify_journal
from orchestrator.persistence.database import Persistence
from orchestrator.text import sound


@pytest.fixture(params=["sqlite", "foreign"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BaseStore]:
    if request.param == "foreign":
        yield InMemoryStore()
        return
    with Persistence(tmp_path / "x.db") as persistence:
        yield persistence.store


def write(store: BaseStore, *facts: Fact, thread: str = "x", ops: tuple[PutOp, ...] = ()) -> None:
    run_blocking(Journal(store, thread).write(BLOCKING, ops, *facts))


def read(store: BaseStore, thread: str = "x", since: int = 0) -> list[JournalRecord]:
    return run_blocking(read_journal(BLOCKING, store, thread, since))


def verify(store: BaseStore, thread: str = "x", head: str = "") -> JournalCheck:
    return run_blocking(verify_journal(BLOCKING, store, thread, head))


def test_records_are_numbered_and_told_in_order(store: BaseStore) -> None:
    write(store, Fact("run_began", data={"task": "count"}), Fact("round_began"))
    write(store, Fact("sub_task_started", "a", 1), thread="y")
    write(store, Fact("run_ended", by="ann"))
    assert [(r.seq, r.kind, r.by) for r in read(store)] == [
        (1, "run_began", ""),
        (2, "round_began", ""),
        (3, "run_ended", "ann"),
    ]
    assert [r.kind for r in read(store, since=2)] == ["run_ended"]
    assert [(r.seq, r.sub_task, r.attempt) for r in read(store, "y")] == [(1, "a", 1)]


def test_a_fact_with_a_key_is_told_once(store: BaseStore) -> None:
    for _ in range(2):
        write(store, Fact("plan_taken", key="plan 1"), Fact("round_began"), Fact("plan_taken", key="plan 1"))
    assert [r.kind for r in read(store)] == ["plan_taken", "round_began", "round_began"]
    assert verify(store).is_sound


def test_what_is_noted_rides_on_the_next_transaction_of_the_thread(store: BaseStore) -> None:
    Journal(store, "x").note(Fact("sub_task_waits", "a"))
    assert read(store) == []
    write(store, Fact("sub_task_started", "a"))
    assert [r.kind for r in read(store)] == ["sub_task_waits", "sub_task_started"]


def test_what_is_noted_can_be_written_without_another_fact(store: BaseStore) -> None:
    journal = Journal(store, "x")
    journal.note(Fact("sub_task_waits", "a"))
    for _ in range(2):
        run_blocking(journal.flush(BLOCKING))
    assert [r.kind for r in read(store)] == ["sub_task_waits"]


def test_what_is_noted_waits_on_if_the_transaction_fails(tmp_path: Path) -> None:
    with Persistence(tmp_path / "x.db") as persistence:
        Journal(persistence.store, "x").note(Fact("sub_task_waits", "a"))
        with pytest.raises(TypeError):
            write(persistence.store, Fact("sub_task_started", "a"), ops=(PutOp(("a",), "k", {"no json": {1}}),))
        write(persistence.store, Fact("sub_task_started", "a"))
        assert [r.kind for r in read(persistence.store)] == ["sub_task_waits", "sub_task_started"]


class FullStore(InMemoryStore):
    """A store of another program's that fails while it is full."""

    is_full = False

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        if self.is_full:
            raise OSError("full")
        return super().batch(ops)


def test_what_is_noted_waits_on_if_a_foreign_store_fails() -> None:
    store = FullStore()
    Journal(store, "x").note(Fact("sub_task_waits", "a"))
    store.is_full = True
    with pytest.raises(OSError, match="full"):
        write(store, Fact("sub_task_started", "a"))
    store.is_full = False
    write(store, Fact("sub_task_started", "a"))
    assert [r.kind for r in read(store)] == ["sub_task_waits", "sub_task_started"]


def test_a_fact_and_the_thing_that_it_tells_of_are_one_transaction(tmp_path: Path) -> None:
    with Persistence(tmp_path / "x.db") as persistence:
        with pytest.raises(TypeError):
            write(persistence.store, Fact("sub_task_ended", "a"), ops=(PutOp(("a",), "k", {"no json": {1}}),))
        assert read(persistence.store) == []


def test_long_texts_are_stored_once_and_read_whole(store: BaseStore) -> None:
    text = "wort " * 2000
    write(store, Fact("tool_returned", data={"answer": text, "parts": [text, {"short": "x"}]}))
    write(store, Fact("tool_returned", data={"answer": text}))
    first, second = read(store)
    assert first.data == {"answer": text, "parts": [text, {"short": "x"}]}
    assert second.data["answer"] == text
    bare = run_blocking(read_journal(BLOCKING, store, "x", with_bodies=False))
    assert bare[0].data["answer"] == bare[1].data["answer"]
    assert bare[0].data["answer"]["chars"] == len(text)
    assert verify(store).is_sound


@given(st.text())
def test_any_text_can_be_told(text: str) -> None:
    for store in (InMemoryStore(), Persistence("memory://").store):
        write(store, Fact("run_began", data={"task": text, "odd\ud800": ["\udfff"]}))
        assert verify(store).is_sound
        assert read(store)[0].data["task"] == sound(text)


def test_a_journal_goes_with_its_thread(store: BaseStore) -> None:
    write(store, Fact("run_began", data={"task": "x" * 9000}))
    write(store, Fact("run_began"), thread="y")
    run_blocking(forget_journal(BLOCKING, store, "x"))
    assert read(store) == []
    assert len(read(store, "y")) == 1
    write(store, Fact("run_began", data={"task": "x" * 9000}))
    assert verify(store).is_sound


def test_a_journal_cannot_be_changed_in_its_table(tmp_path: Path) -> None:
    with Persistence(tmp_path / "x.db") as persistence:
        write(persistence.store, Fact("run_began"))
    with pytest.raises(sqlite3.IntegrityError, match="only appended to"), sqlite3.connect(tmp_path / "x.db") as db:
        db.execute("UPDATE journal SET record = '{}'")


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE journal SET record = replace(record, 'ann', 'bob')", "record 2 or one before it"),
        ("UPDATE journal SET hash = zeroblob(32) WHERE seq = 1", "record 1 or one before it"),
        ("DELETE FROM journal WHERE seq = 2", "record 2 is missing"),
        ("DELETE FROM journal WHERE seq = 1", "record 1 is missing"),
        ("UPDATE journal SET seq = 9 WHERE seq = 3", "record 8 is missing"),
        ("DELETE FROM journal_bodies", "a text of record 3 is missing"),
    ],
)  # fmt: skip
def test_verification_names_what_was_changed(tmp_path: Path, statement: str, problem: str) -> None:
    with Persistence(tmp_path / "x.db") as persistence:
        write(persistence.store, Fact("run_began"), Fact("review_answered", by="ann"))
        write(persistence.store, Fact("run_ended", data={"answer": "y" * 9000}))
        assert verify(persistence.store).is_sound
    with sqlite3.connect(tmp_path / "x.db") as db:
        db.execute("DROP TRIGGER journal_is_append_only")
        db.execute(statement)
    with Persistence(tmp_path / "x.db") as persistence:
        assert problem in " ".join(verify(persistence.store).problems)


def test_a_head_that_was_kept_elsewhere_shows_that_the_end_is_missing(tmp_path: Path) -> None:
    with Persistence(tmp_path / "x.db") as persistence:
        write(persistence.store, Fact("run_began"), Fact("run_ended"))
        head = verify(persistence.store).head
        assert verify(persistence.store, head=head).is_sound
    with sqlite3.connect(tmp_path / "x.db") as db:
        db.execute("DELETE FROM journal WHERE seq = 2")
    with Persistence(tmp_path / "x.db") as persistence:
        assert verify(persistence.store).is_sound
        assert head in verify(persistence.store, head=head).problems[0]


def test_of_two_writers_to_one_file_each_record_has_its_own_number(tmp_path: Path) -> None:
    with Persistence(tmp_path / "x.db") as one, Persistence(tmp_path / "x.db") as other:
        for _ in range(20):
            write(one.store, Fact("tool_called"))
            write(other.store, Fact("review_answered", by="ann"))
        assert [r.seq for r in read(one.store)] == list(range(1, 41))
        assert verify(other.store).is_sound


class Around(BaseStore):
    """A store of a user's own around another one, which knows nothing of journals."""

    def __init__(self, inner: BaseStore) -> None:
        self.inner = inner

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        return self.inner.batch(ops)

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        return await self.inner.abatch(ops)


def test_a_store_around_the_engines_own_tells_the_same(tmp_path: Path) -> None:
    with Persistence(tmp_path / "x.db") as persistence:
        around = Around(persistence.store)
        Journal(around, "x").note(Fact("sub_task_waits", "a"))
        for _ in range(2):
            write(around, Fact("plan_taken", key="plan 1"), Fact("round_began", data={"text": "z" * 900}))
        write(persistence.store, Fact("run_ended"))
        kinds = ["sub_task_waits", "plan_taken", "round_began", "round_began", "run_ended"]
        assert [r.kind for r in read(around)] == [r.kind for r in read(persistence.store)] == kinds
        assert verify(around).is_sound
