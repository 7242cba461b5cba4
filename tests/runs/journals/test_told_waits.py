"""The journal tells what a request waits for and how fast its answer came, and tells it while the request hangs."""

import time
from pathlib import Path
from typing import cast

from orchestrator import CallPolicy, JournalRecord, OrchestratorClient, Resilience
from orchestrator.concurrency import BLOCKING, Bridge
from orchestrator.model_calls.retries import call_endpoint
from orchestrator.testing import Gate, Reply, Request, TeamScript, fail, say
from tests.support.endpoints import Stand
from tests.support.reworking import ACCEPT, again
from tests.support.running import LIMIT_S, Running
from tests.support.teams import open_team, step


def records(db: Path, kind: str) -> list[JournalRecord]:
    with OrchestratorClient(db) as client:
        return [record for record in client.journal("t") if record.kind == kind]


def test_a_wait_for_the_service_is_told_with_its_seconds_and_so_is_the_request_that_waited(tmp_path: Path) -> None:
    script, broken = TeamScript([step("a")]), [fail(ConnectionResetError("gone"))]

    def answer(request: Request) -> Reply:
        is_worker = not request.title and "Sub-task a: " in request.last_user
        return broken.pop() if is_worker and broken else script(request)

    with open_team(script, tmp_path / "x.db") as team:
        team.supervisor.model.script = answer  # type: ignore[union-attr]
        team.team.calls = CallPolicy(resilience=Resilience(first_wait_s=0.01, longest_wait_s=0.02))
        assert team.run("go", thread_id="t", auto_approve=True).status == "done"
    [wait] = [record for record in records(tmp_path / "x.db", "sub_task_waits") if record.data["reason"] == "service"]
    assert (wait.sub_task, wait.attempt, len(wait.data["names"])) == ("a", 1, 1)
    first, second = (r.data.get("waited") for r in records(tmp_path / "x.db", "model_asked") if r.sub_task == "a")
    assert first is None
    assert second == {"service": wait.data["seconds"]}


def test_a_wait_for_the_own_rate_limit_is_told_once_before_it_begins() -> None:
    stand, waits = Stand(BLOCKING), list[tuple[str, float, int]]()

    async def attempt() -> str:
        return "well"

    for _ in range(2):
        asked = call_endpoint(
            cast(Bridge, stand),
            "here",
            Resilience(requests_per_minute=1),
            attempt,
            endpoints=stand.endpoints,
            on_wait=lambda reason, seconds: waits.append((reason, seconds, len(stand.waits))),
        )
        assert stand.run(asked) == "well"
    assert waits == [("rate", 60.0, 0)]


def test_the_time_to_the_first_words_is_told_where_somebody_hears_them(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        team.run("go", thread_id="t", auto_approve=True, on_event=lambda _: None)
    [answered] = [record.data for record in records(tmp_path / "x.db", "model_answered") if record.sub_task == "a"]
    assert 0 <= answered["first_token"] <= answered["seconds"]


def test_what_is_sent_back_names_its_reviewers(tmp_path: Path) -> None:
    plan = [step("a"), step("judge", "a", agent="reviewer"), step("second", "a", agent="reviewer")]
    better = {("a", 2): "better", ("a", 3): "better still"}
    script = TeamScript(
        plan, results=better, verdicts={"judge": [again("more"), ACCEPT], "second": [again("and more"), ACCEPT]}
    )
    with open_team(script, tmp_path / "x.db") as team:
        team.run("go", thread_id="t", auto_approve=True)
    sent_back = [record.data["reviewers"] for record in records(tmp_path / "x.db", "sub_task_sent_back")]
    assert sorted({name for names in sent_back for name in names}) == ["judge", "second"]


def test_a_request_that_hangs_is_told_though_nothing_else_is_written(tmp_path: Path) -> None:
    gate = Gate()
    script = TeamScript([step("a")], results={"a": say("at last").behind(gate)})
    with open_team(script, tmp_path / "x.db") as team:
        running = Running(team.run, "go", thread_id="t", auto_approve=True)
        assert gate.entered.wait(LIMIT_S)
        last = time.monotonic() + LIMIT_S
        while not [record for record in records(tmp_path / "x.db", "model_asked") if record.sub_task == "a"]:
            assert time.monotonic() < last, "nobody who follows the run sees the request"
        gate.release()
        assert running.result().status == "done"
