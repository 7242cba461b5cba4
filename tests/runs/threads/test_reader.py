"""ThreadReader tells of every thread what `OrchestratorClient` tells, without LangGraph where it can."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from orchestrator import Budget, OrchestratorClient, Run, TaskOrchestrator, UnknownThreadError
from orchestrator.runs.threads.reader import ThreadReader
from orchestrator.testing import CrashAfter, TeamScript, call, fail, run_until_killed, say
from tests.support.crash_child import DIAMOND, run_or_resume
from tests.support.teams import open_team, step, writer

PLAN = [step("a", agent="tooled"), step("b"), step("c", "a", "b", approval=True)]
FINISH: Any = [{"reason": "that is enough", "decision": "finish", "changes": []}]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a reader fail that needs LangGraph."""

    def refuse(_: ThreadReader) -> OrchestratorClient:
        raise AssertionError("the reader needs LangGraph")

    monkeypatch.setattr(ThreadReader, "_opened", refuse)


def check(db: Path, thread: str = "t") -> Run:
    """Check that both ways tell the same of a thread, and return its run."""
    with OrchestratorClient(db) as client, ThreadReader(db) as reader:
        run = client.show(thread)
        assert reader.show(thread) == run
        assert reader.reviews(thread) == client.reviews(thread)
        assert reader.reviews() == client.reviews()
        assert reader.journal(thread) == client.journal(thread)
        assert list(reader.follow(thread, 2)) == client.journal(thread, 2)
        assert reader.verify_journal(thread) == client.verify_journal(thread)
    return run


def engine(db: Path, **script: Any) -> TaskOrchestrator:
    results = {"a": [call("write", text="x"), say("wrote it")]}
    return open_team(TeamScript(PLAN, results={**results, **script.pop("results", {})}, **script), db, writer([]))


@pytest.mark.usefixtures("alone")
def test_each_step_of_a_run_with_reviews_of_every_kind(tmp_path: Path) -> None:
    db, kinds = tmp_path / "x.db", []
    with engine(db) as team:
        run = team.run("go", thread_id="t")
        while run.reviews:
            assert check(db).status == "waiting"
            kinds.append(run.reviews[0].kind)
            team.decide(run.reviews[0].id, "approve")
            check(db)
            run = team.resume("t")
        assert (check(db).status, kinds) == ("done", ["plan", "tool", "result"])
        team.run("and again", thread_id="t")
        team.steer("t", "be brief")
    run = check(db)
    assert ([turn.number for turn in run.turns], [each.text for each in run.instructions]) == ([1], ["be brief"])


@pytest.mark.usefixtures("alone")
def test_runs_that_failed_were_rejected_or_spent_their_budget(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    with engine(db, results={"b": fail(RuntimeError("broken"))}, revisions=FINISH) as team:
        team.run("go", thread_id="failed", auto_approve=True)
        team.run("go", thread_id="spent", budget=Budget(model_calls=3))
        team.decide(team.show("spent").reviews[0].id, "approve")
        team.resume("spent")
        team.decide(team.run("go", thread_id="rejected").reviews[0].id, "reject", "another one")
        team.resume("rejected")
    assert [check(db, thread).status for thread in ("failed", "spent", "rejected")] == ["failed", "waiting", "waiting"]


@pytest.mark.parametrize("kind", ["put", "writes", "store"])
def test_a_run_that_was_killed_at_any_write(tmp_path: Path, kind: str) -> None:
    db, statuses = tmp_path / "x.db", set()
    for number in range(2, 7):
        if run_until_killed(run_or_resume, tmp_path, DIAMOND, CrashAfter(kind, number)) == 0:
            break
        with OrchestratorClient(db) as client:
            is_there = client.has_thread("t")
        statuses |= {check(db).status} if is_there else set()
    else:
        run_until_killed(run_or_resume, tmp_path, DIAMOND)
    assert check(tmp_path / "x.db").status == "done"
    assert "interrupted" in statuses


def test_what_is_stored_in_another_form_is_read_by_langgraph(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    with engine(db) as team:
        team.run("go", thread_id="t")
    with closing(sqlite3.connect(db)) as connection, connection:
        connection.execute("DELETE FROM store WHERE prefix = 'orchestrator.threads'")  # as of a LangGraph server
    assert check(db).status == "waiting"


@pytest.mark.usefixtures("alone")
def test_a_thread_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    with engine(db) as team:
        team.run("go", thread_id="t")
    with ThreadReader(db) as reader, pytest.raises(UnknownThreadError, match="there is no thread 'x' in "):
        reader.show("x")
