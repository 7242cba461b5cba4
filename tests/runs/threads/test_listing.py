"""The list of threads, read without LangGraph: the same as an `OrchestratorClient` gives."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator import OrchestratorClient, TaskOrchestrator, compile_graph
from orchestrator.errors import ConfigError, PersistenceError
from orchestrator.persistence.database import Persistence
from orchestrator.runs.threads.listing import list_threads
from orchestrator.testing import TeamScript
from tests.support.teams import make_team, step

PLAN = [step("a", agent="worker")]


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def run(db: Path, thread_id: str) -> None:
    with TaskOrchestrator(team=make_team(TeamScript(PLAN)), db=db) as orchestrator:
        orchestrator.run(f"task of {thread_id}", thread_id=thread_id, auto_approve=True)


def test_it_is_the_list_of_a_client(db: Path) -> None:
    for thread_id in ("one", "two", "three.dots%"):
        run(db, thread_id)
    with OrchestratorClient(db) as client:
        assert list_threads(db) == client.threads()
    assert [record.id for record in list_threads(db)] == ["three.dots%", "two", "one"]


def test_a_database_that_does_not_exist_has_no_threads_and_is_not_created(db: Path) -> None:
    assert list_threads(db) == []
    assert not db.exists()
    assert list_threads("memory://") == []


def test_a_thread_without_a_record_is_read_from_its_state(db: Path) -> None:
    run(db, "recorded")
    with Persistence(db) as opened:
        graph = compile_graph(make_team(TeamScript(PLAN)), checkpointer=opened.checkpointer, store=opened.store)
        graph.invoke({"task": "of Studio", "auto_approve": True}, {"configurable": {"thread_id": "studio"}})
    assert {record.id: record.task for record in list_threads(db)} == {
        "recorded": "task of recorded",
        "studio": "of Studio",
    }


def test_a_run_at_work_is_running_and_a_killed_one_interrupted(db: Path) -> None:
    run(db, "t")
    with Persistence(db) as opened:
        item = opened.store.get(("orchestrator", "threads"), "t")
        assert item is not None
        opened.store.put(("orchestrator", "threads"), "t", {**item.value, "status": "running"})
        with opened.lease("t"):
            [at_work] = list_threads(db)
        [killed] = list_threads(db)
    assert at_work.status == "running"
    assert killed == replace(at_work, status="interrupted")


def test_a_file_that_cannot_be_read_is_told_as_everywhere(db: Path) -> None:
    db.write_text("no database at all, but a text that is long enough for a header" * 10)
    with pytest.raises(PersistenceError, match="not a SQLite database"):
        list_threads(db)
    with pytest.raises(PersistenceError, match="is a folder"):
        list_threads(db.parent)
    with pytest.raises(ConfigError, match="unknown database URL"):
        list_threads("mysql://here")
