"""Long texts of a journal take little room, and are read as they were told."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.concurrency import BLOCKING, run_blocking
from orchestrator.errors import PersistenceError
from orchestrator.journal.fact import Fact
from orchestrator.journal.journal import Journal
from orchestrator.journal.reading import read_journal
from orchestrator.journal.verification import verify_journal
from orchestrator.persistence.database import Persistence
from orchestrator.text import sound

RESULTS = [f"result {number}: " + f"{number} of the lakes are deep. " * 30 + "end" for number in range(3)]


def tell(db: Persistence, *texts: str) -> None:
    facts = [Fact("sub_task_ended", data={"text": text}) for text in texts]
    run_blocking(Journal(db.store, "t").write(BLOCKING, (), *facts))


def told(db: Persistence) -> list[str]:
    return [record.data["text"] for record in run_blocking(read_journal(BLOCKING, db.store, "t"))]


def problems(db: Persistence) -> tuple[str, ...]:
    return run_blocking(verify_journal(BLOCKING, db.store, "t")).problems


def sizes(file: Path) -> list[int]:
    with sqlite3.connect(file) as db:
        return sorted(size for (size,) in db.execute("SELECT length(body) FROM journal_bodies"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


def test_a_text_is_stored_once_and_compressed(file: Path) -> None:
    with Persistence(file) as db:
        tell(db, *RESULTS, RESULTS[0])
        tell(db, RESULTS[0], "x" * 100_000)
        assert told(db) == [*RESULTS, RESULTS[0], RESULTS[0], "x" * 100_000]
        assert len(sizes(file)) == len(RESULTS) + 1
        assert max(sizes(file)) < 500
        assert not problems(db)


@given(st.lists(st.text().map(lambda text: sound(text) * 40)))
def test_whatever_stands_in_a_text_it_is_read_as_it_was_told(texts: list[str]) -> None:
    with Persistence("memory://") as db:
        for text in texts:
            tell(db, text)
        assert told(db) == texts
        assert not problems(db)


@pytest.mark.parametrize("body", ["x''", "x'5B'", "x'00'", "x'789C'"])
def test_a_damaged_text_is_said_in_one_line(file: Path, body: str) -> None:
    with Persistence(file) as db:
        tell(db, RESULTS[0])
        with sqlite3.connect(file) as other:
            other.execute(f"UPDATE journal_bodies SET body = {body}")
        with pytest.raises(PersistenceError, match="is damaged"):
            told(db)
