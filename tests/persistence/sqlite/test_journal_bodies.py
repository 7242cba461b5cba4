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
from orchestrator.trust import as_data

RESULTS = [f"result {number}: " + f"{number} of the lakes are deep. " * 30 + "end" for number in range(3)]
MESSAGE = "Results:\n" + "\n\n".join(as_data(each, "worker") for each in RESULTS) + "\n\nNow look at the rivers."


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


def test_a_message_does_not_store_the_results_that_it_quotes_again(file: Path) -> None:
    with Persistence(file) as db:
        tell(db, *RESULTS)
        before = sum(sizes(file))
        tell(db, MESSAGE)
        assert sum(sizes(file)) - before < 500
        assert told(db) == [*RESULTS, MESSAGE]
        assert not problems(db)


def test_results_may_be_told_with_the_message_that_quotes_them(file: Path) -> None:
    with Persistence(file) as db:
        tell(db, MESSAGE, *RESULTS)
        assert told(db) == [MESSAGE, *RESULTS]
        assert max(sizes(file)) < 500


def test_a_text_with_many_words_of_its_own_is_compressed_beside_what_it_quotes(file: Path) -> None:
    long = MESSAGE + "\n".join(f"river {number} is wide" for number in range(500))
    with Persistence(file) as db:
        tell(db, *RESULTS, long, as_data(long, "worker"))
        assert told(db) == [*RESULTS, long, as_data(long, "worker")]
        assert max(sizes(file)) < len(long) / 3
        assert not problems(db)


def test_results_of_which_the_journal_has_no_text_are_stored_with_the_message(file: Path) -> None:
    with Persistence(file) as db:
        tell(db, MESSAGE)
        assert told(db) == [MESSAGE]
        assert not problems(db)


BLOCKS = st.lists(st.sampled_from([RESULTS[0], MESSAGE, "</data>", '<data from="x">\n', "\n</data>", "x" * 600, "\n"]))


@given(st.lists(BLOCKS.map("".join)))
def test_whatever_stands_in_a_text_it_is_read_as_it_was_told(texts: list[str]) -> None:
    with Persistence("memory://") as db:
        for text in [RESULTS[0], *texts]:
            tell(db, text, as_data(text, "worker"))
        assert told(db) == [each for text in [RESULTS[0], *texts] for each in (text, as_data(text, "worker"))]
        assert not problems(db)


def test_a_message_is_missing_with_a_result_that_it_quotes(file: Path) -> None:
    with Persistence(file) as db:
        tell(db, RESULTS[0])
        tell(db, as_data(RESULTS[0], "worker"))
        with sqlite3.connect(file) as other:
            other.execute("DELETE FROM journal_bodies WHERE substr(body, 1, 1) <> x'5B'")
        assert problems(db) == ("a text of record 1 is missing", "a text of record 2 is missing")


@pytest.mark.parametrize("body", ["x'5B'", "x'5D00'", "CAST('[[\"zz\"]]' AS BLOB)", "CAST('[[]]' AS BLOB)", "x'00'"])
def test_a_damaged_text_is_said_in_one_line(file: Path, body: str) -> None:
    with Persistence(file) as db:
        tell(db, RESULTS[0])
        with sqlite3.connect(file) as other:
            other.execute(f"UPDATE journal_bodies SET body = {body}")
        with pytest.raises(PersistenceError, match="is damaged"):
            told(db)
