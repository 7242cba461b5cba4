"""Runs that are started on the page: once, in their order, cancelled, resumed, and ended with their server."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator import OrchestratorClient
from orchestrator.errors import ConfigError, ThreadBusyError
from orchestrator.server.running.runs import Runs, Task
from orchestrator.testing import Gate, TeamScript, say
from tests.support.page import until
from tests.support.teams import make_team, open_team, step


class Desk:
    """The runs of a server with a team of the test's own, whose workers wait at a gate."""

    def __init__(self, db: Path, most: int, *, approval: bool = False) -> None:
        self.gate = Gate()
        answer = say("seven").behind(self.gate)
        self.script = TeamScript([step("a", approval=approval)], results={"a": answer}, summary="7 [a]")
        self.client = OrchestratorClient(db)
        self.runs = Runs(db, self.client, {"mine": lambda: make_team(self.script)}, most)

    def begin(self, thread_id: str, **options: Any) -> None:
        self.runs.begin(Task("count", thread_id, {"team": "mine"}, auto_approve=True, **options))

    def status(self, thread_id: str) -> str:
        return self.client.show(thread_id).status

    def await_status(self, thread_id: str, status: str) -> None:
        until(lambda: self.status(thread_id) == status and not self.runs.state(thread_id).state)


@contextmanager
def desk_on(db: Path, most: int = 4, **options: Any) -> Iterator[Desk]:
    desk = Desk(db, most, **options)
    with ExitStack() as stack:
        stack.callback(desk.client.close)
        stack.callback(desk.runs.close)
        stack.callback(desk.gate.release)
        yield desk


def test_a_run_is_durable_when_it_begins_and_goes_on_by_itself(tmp_path: Path) -> None:
    with desk_on(tmp_path / "x.db") as desk:
        desk.begin("t")
        assert desk.client.has_thread("t")
        assert desk.runs.state("t").state in ("queued", "running")
        desk.gate.release()
        desk.await_status("t", "done")
        assert desk.client.show("t").answer == "7"


def test_of_two_clicks_one_starts_a_run(tmp_path: Path) -> None:
    with desk_on(tmp_path / "x.db") as desk:
        desk.begin("t")
        with pytest.raises(ThreadBusyError, match="already being run by this server"):
            desk.begin("t")
        desk.gate.release()
        desk.await_status("t", "done")
        assert [record.id for record in desk.client.threads()] == ["t"]


def test_a_form_that_is_sent_twice_at_once_begins_one_thread(tmp_path: Path) -> None:
    with desk_on(tmp_path / "x.db") as desk:
        meet, begun, threads = threading.Barrier(2), [], []

        def begin() -> str:
            begun.append("t")
            desk.begin("t")
            return "t"

        def click() -> None:
            meet.wait()
            threads.append(desk.runs.begin_once("form", begin))

        clicks = [threading.Thread(target=click) for _ in range(2)]
        for each in clicks:
            each.start()
        for each in clicks:
            each.join()
        assert (begun, threads) == (["t"], ["t", "t"])


def test_runs_over_the_limit_wait_in_their_order(tmp_path: Path) -> None:
    with desk_on(tmp_path / "x.db", most=1) as desk:
        for name in ("a", "b", "c"):
            desk.begin(name)
        desk.gate.entered.wait()
        assert [desk.runs.state(name).state for name in ("a", "b", "c")] == ["running", "queued", "queued"]
        assert desk.runs.state("c").before == 1
        assert desk.runs.queued() == {"b", "c"}
        desk.gate.release()
        for name in ("a", "b", "c"):
            desk.await_status(name, "done")


def test_a_queued_run_is_cancelled_without_running_and_can_be_resumed(tmp_path: Path) -> None:
    with desk_on(tmp_path / "x.db", most=1) as desk:
        desk.begin("a")
        desk.gate.entered.wait()
        desk.begin("b")
        assert desk.runs.cancel("b", "mira") == "cancelled"
        assert (desk.runs.state("b").state, desk.status("b")) == ("", "interrupted")
        desk.gate.release()
        desk.await_status("a", "done")
        desk.runs.resume("b")
        desk.await_status("b", "done")


def test_a_running_run_is_cancelled_by_name_and_can_be_resumed(tmp_path: Path) -> None:
    with desk_on(tmp_path / "x.db") as desk:
        desk.begin("t")
        desk.gate.entered.wait()
        assert desk.runs.cancel("t", "mira") == "cancelled"
        assert "mira" in desk.client.show("t").errors[0]
        desk.gate.release()
        desk.runs.resume("t")
        desk.await_status("t", "done")


def test_when_the_server_ends_its_runs_end_and_stay_resumable(tmp_path: Path) -> None:
    with desk_on(tmp_path / "x.db", most=1) as desk:
        desk.begin("running")
        desk.gate.entered.wait()
        desk.begin("queued")
        desk.runs.close()
        assert not any(desk.client.persistence.is_leased(name) for name in ("running", "queued"))
        with pytest.raises(ConfigError, match="is ending"):
            desk.begin("late")
    with desk_on(tmp_path / "x.db") as another:
        another.gate.release()
        for name in ("running", "queued"):
            assert another.status(name) == "interrupted"
            another.runs.resume(name)
            another.await_status(name, "done")


def test_a_thread_of_another_process_is_left_alone(tmp_path: Path) -> None:
    with desk_on(tmp_path / "x.db") as desk, open_team(desk.script, tmp_path / "x.db") as elsewhere:
        elsewhere.run("count", thread_id="t", auto_approve=False)
        with elsewhere.persistence.lease("t"), pytest.raises(ThreadBusyError, match="another process"):
            desk.runs.resume("t")
        assert desk.runs.state("t").state == ""


def test_an_error_of_a_run_is_told(tmp_path: Path) -> None:
    with desk_on(tmp_path / "x.db") as desk:
        desk.begin("t")
        desk.gate.release()
        desk.await_status("t", "done")
        desk.runs.resume("t", limits={"tokens": 9})
        assert "nothing to raise" in until(lambda: desk.runs.state("t").failure)
        desk.runs.forget("t")
        assert desk.runs.state("t").failure == ""


def test_a_decision_while_the_run_pauses_is_not_lost(tmp_path: Path) -> None:
    with desk_on(tmp_path / "x.db", approval=True) as desk:
        desk.gate.release()
        desk.runs.begin(Task("count", "t", {"team": "mine"}))
        desk.await_status("t", "waiting")
        [plan] = desk.client.reviews("t")
        desk.client.decide(plan, "approve")
        desk.runs.resume("t")
        desk.runs.resume("t")  # answered twice in a moment: one run, which looks again
        until(lambda: [review.kind for review in desk.client.reviews("t")] == ["result"])
        desk.await_status("t", "waiting")
        [result] = desk.client.reviews("t")
        desk.client.decide(result, "approve")
        desk.runs.resume("t")
        desk.await_status("t", "done")


def test_the_next_task_continues_the_thread(tmp_path: Path) -> None:
    with desk_on(tmp_path / "x.db") as desk:
        desk.gate.release()
        desk.begin("t")
        desk.await_status("t", "done")
        desk.runs.begin(Task("and the rivers", "t", auto_approve=True, is_next=True))
        desk.await_status("t", "done")
        run = desk.client.show("t")
        assert (run.task, [turn.task for turn in run.turns]) == ("and the rivers", ["count"])
