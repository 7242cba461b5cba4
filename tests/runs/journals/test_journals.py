"""The journal of a thread for those who look: read at once, followed while it grows, and checked."""

import threading
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore

from orchestrator import JournalRecord, OrchestratorClient, UnknownThreadError, compile_graph
from orchestrator.concurrency import BLOCKING, run_blocking
from orchestrator.journal.reading import read_journal
from orchestrator.testing import Gate, Request, TeamScript, call, say
from tests.support.teams import make_team, open_team, step, writer


def kinds(records: list[JournalRecord]) -> list[str]:
    return [record.kind for record in records]


def test_a_reader_in_another_process_sees_what_the_run_tells(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        team.run("task", thread_id="t", auto_approve=True)
        with OrchestratorClient(tmp_path / "x.db") as client:
            records = client.journal("t")
            assert kinds(records)[0] == "run_began"
            assert kinds(records)[-1] == "run_ended"
            assert client.journal("t", since=records[-2].seq) == records[-1:]
            assert client.journal("t", since=records[-1].seq) == []


def test_an_unknown_thread_is_named(tmp_path: Path) -> None:
    with OrchestratorClient(tmp_path / "x.db") as client:
        with pytest.raises(UnknownThreadError):
            client.journal("nobody")
        with pytest.raises(UnknownThreadError):
            list(client.follow("nobody"))
        with pytest.raises(UnknownThreadError):
            client.verify_journal("nobody")


def test_following_goes_on_until_the_run_lets_go_of_its_thread(tmp_path: Path) -> None:
    gate, script = Gate(), TeamScript([step("a"), step("b", "a")])
    is_reached = threading.Event()

    def held(request: Request) -> Any:
        if request.title or "Sub-task b" not in request.last_user:
            return script(request)
        is_reached.set()
        return script(request).behind(gate)

    with open_team(held, tmp_path / "x.db") as team:
        run = threading.Thread(target=lambda: team.run("task", thread_id="t", auto_approve=True))
        run.start()
        assert is_reached.wait(60)
        with OrchestratorClient(tmp_path / "x.db") as client:
            seen: list[JournalRecord] = []
            for record in client.follow("t"):
                seen.append(record)
                if record.kind == "sub_task_ended" and record.sub_task == "a":
                    gate.release()
            run.join()
            assert seen == client.journal("t")
            assert kinds(seen)[-1] == "run_ended"


def test_a_finished_thread_is_followed_to_its_end(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        team.run("task", thread_id="t", auto_approve=True)
        assert list(team.follow("t")) == team.journal("t")
        assert list(team.follow("t", since=team.journal("t")[-1].seq)) == []


def test_a_run_that_pauses_and_goes_on_says_so(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        (review,) = team.run("task", thread_id="t").reviews
        paused = team.journal("t")[-1]
        assert (paused.kind, paused.data) == ("run_paused", {"status": "waiting", "reviews": [review.id]})
        decision = team.decide(review.id, "approve")
        team.resume("t")
        told = kinds(team.journal("t"))
        assert told.index("run_paused") < told.index("review_answered") < told.index("run_resumed")
        answered = next(r for r in team.journal("t") if r.kind == "review_answered")
        assert answered.by == decision.by


def test_a_run_that_fails_is_told_with_its_reason(tmp_path: Path) -> None:
    def fail(request: Request) -> Any:
        raise ConnectionError("the cable is cut")

    with open_team(fail, tmp_path / "x.db") as team:
        with pytest.raises(Exception, match="the cable is cut"):
            team.run("task", thread_id="t")
        last = team.journal("t")[-1]
    assert (last.kind, last.data["status"]) == ("run_paused", "interrupted")
    assert "the cable is cut" in last.data["why"]


@pytest.mark.parametrize("is_saved", [True, False])
def test_a_bare_graph_tells_the_same_with_any_store(is_saved: bool) -> None:
    effects: list[str] = []
    plan = [step("a", agent="tooled"), step("b", "a")]
    script = TeamScript(plan, results={"a": [call("write", text="x"), say("done")]})
    store = InMemoryStore()
    graph = compile_graph(
        make_team(script, writer(effects, effect="idempotent")),
        checkpointer=InMemorySaver() if is_saved else None,
        store=store,
    )
    state = {"task": "task", "auto_approve": True}
    result = graph.invoke(state, {"configurable": {"thread_id": "t"}})
    assert result["status"] == "done"
    records = run_blocking(read_journal(BLOCKING, store, "t"))
    for kind in ("run_began", "plan_taken", "round_began", "answer_written", "run_ended"):
        assert kinds(records).count(kind) == 1, kind
    assert [r.sub_task for r in records if r.kind == "sub_task_ended"] == ["a", "b"]
    assert [r.data["answer"] for r in records if r.kind == "tool_returned"] == ["wrote x"]
    assert [r.seq for r in records] == list(range(1, len(records) + 1))
