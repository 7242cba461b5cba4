"""The inbox has the open reviews of all threads, sorted by what they hold up, and reads only what has changed."""

from pathlib import Path
from typing import Any

import pytest
from langgraph.store.base import PutOp

from orchestrator import OrchestratorClient
from orchestrator.persistence.namespaces import THREADS
from orchestrator.server.reviewing.inbox import Inbox
from orchestrator.testing import Gate, TeamScript, say
from tests.support.running import Running, planned
from tests.support.teams import open_team, step


def waiting(db: Path, thread_id: str, *steps: dict[str, Any]) -> None:
    """Run a thread until it waits for the approval of its results."""
    with open_team(TeamScript([]), db) as team:
        team.run(f"do {thread_id}", plan=planned(*steps), thread_id=thread_id)


def words(inbox: Inbox) -> list[tuple[str, int, int]]:
    """Return what the inbox lists: thread, sub-tasks held up, sub-tasks in all."""
    return [(each.review.thread_id, each.held_up, each.sub_tasks) for each in inbox.look(at_once=True)]


def test_what_holds_up_most_comes_first_and_then_what_was_asked_first(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    waiting(db, "one", step("a", approval=True), step("z"))
    waiting(db, "chain", step("a", approval=True), step("b", "a"), step("c", "b"), step("z"))
    waiting(db, "later", step("a", approval=True))
    with OrchestratorClient(db) as client:
        assert words(Inbox(client)) == [("chain", 3, 4), ("one", 1, 2), ("later", 1, 1)]


def test_a_finished_sub_task_is_not_held_up_and_the_words_say_that_nothing_runs(tmp_path: Path) -> None:
    waiting(tmp_path / "x.db", "t", step("a"), step("b", "a", approval=True), step("c", "b"))
    with OrchestratorClient(tmp_path / "x.db") as client:
        [entry] = Inbox(client).look()
    assert entry.words.startswith("holds up 2 of 3 sub-tasks · 0:0")
    assert entry.words.endswith("· nothing else is running")


def test_what_goes_on_beside_a_review_is_named(tmp_path: Path) -> None:
    gate, plan = Gate(), planned(step("a", approval=True), step("slow"), step("b", "a"))
    with (
        open_team(TeamScript([], results={"slow": say("s").behind(gate)}), tmp_path / "x.db") as team,
        OrchestratorClient(tmp_path / "x.db") as client,
    ):
        running = Running(team.run, "go", plan=plan, thread_id="t")
        running.seen.until_asked("a")
        assert gate.entered.wait(30)
        [entry] = Inbox(client).look()
        assert (entry.at_work, entry.is_running) == (("slow",), True)
        assert entry.words.endswith("slow goes on")
        gate.release()
        running.result()


def test_an_answer_takes_a_review_out_and_its_thread_waits_to_be_resumed(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    waiting(db, "t", step("a", approval=True))
    with OrchestratorClient(db) as client, OrchestratorClient(db) as other:
        inbox = Inbox(client)
        [entry] = inbox.look()
        other.decide(entry.review, "approve")  # by another process, as far as the inbox can tell
        assert words(inbox) == []
        assert [(thread.record.id, thread.answered) for thread in inbox.resting()] == [("t", 1)]
    with open_team(TeamScript([]), db) as team, OrchestratorClient(db) as client:
        inbox = Inbox(client)
        inbox.look()
        assert team.resume("t").status == "done"
        inbox.look(at_once=True)
        assert inbox.resting() == []


def test_a_look_reads_only_the_threads_that_have_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db, read = tmp_path / "x.db", list[str]()
    for name in ("a", "b", "c"):
        waiting(db, name, step("s", approval=True))
    show = OrchestratorClient.ashow

    async def counted(client: OrchestratorClient, thread_id: str, **options: Any) -> Any:
        read.append(thread_id)
        return await show(client, thread_id, **options)

    monkeypatch.setattr(OrchestratorClient, "ashow", counted)
    with OrchestratorClient(db) as client:
        inbox = Inbox(client)
        inbox.look()
        assert sorted(read) == ["a", "b", "c"]
        read.clear()
        inbox.look(at_once=True)
        assert read == []
        client.decide(client.reviews("b")[0], "approve")
        inbox.look(at_once=True)
        assert read == ["b"]


def test_a_thread_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    waiting(db, "good", step("a", approval=True))
    waiting(db, "bad", step("a", approval=True))
    with OrchestratorClient(db) as client:
        connection: Any = client.persistence.store.conn  # type: ignore[attr-defined]
        connection.execute("UPDATE journal_bodies SET body = x'00' WHERE thread = 'bad'")
        connection.execute("UPDATE checkpoints SET metadata = x'00' WHERE thread_id = 'bad'")
        assert [name for name, *_ in words(Inbox(client))] == ["good"]
        connection.execute("UPDATE store SET value = 'x' WHERE key = 'bad' AND prefix = 'orchestrator.threads'")
        assert [name for name, *_ in words(Inbox(client))] == ["good"]


def test_a_thread_without_a_record_is_in_the_inbox_too(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    waiting(db, "t", step("a", approval=True))
    with OrchestratorClient(db) as client:
        client.persistence.store.batch([PutOp(THREADS, "t", None)])  # as LangGraph's server leaves it
        assert [name for name, *_ in words(Inbox(client))] == ["t"]


def test_a_look_that_has_much_to_read_ends_and_the_next_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = tmp_path / "x.db"
    for name in ("a", "b", "c"):
        waiting(db, name, step("s", approval=True))
    monkeypatch.setattr("orchestrator.server.reviewing.inbox._LONGEST_LOOK_S", -1.0)
    with OrchestratorClient(db) as client:
        inbox = Inbox(client)
        assert (inbox.look(), inbox.unread) == ([], 3)
        [review] = client.reviews("b")
        assert inbox.find(review.id) is not None, "a review that is asked for is read at once"
        monkeypatch.undo()
        assert len(inbox.look(at_once=True)) == 3
        assert inbox.unread == 0
