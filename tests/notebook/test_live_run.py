"""A run beside the cells of a notebook: decided, told, cancelled and resumed while it goes on."""

import builtins
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator import Budget, LiveRun, Plan, TaskOrchestrator
from orchestrator.errors import ConfigError, DecisionError
from orchestrator.testing import Gate, TeamScript, fail, say
from tests.support.teams import open_team, step, worked

PLAN = [step("a"), step("b", "a"), step("c")]


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.release()


def held(gate: Gate, **results: object) -> TeamScript:
    """Return the script of a run whose sub-task c ends when the gate is released."""
    return TeamScript(PLAN, results={"c": say("three").behind(gate), **results})


def begun(team: TaskOrchestrator) -> LiveRun:
    live = LiveRun(team)
    live.start("count", thread_id="t")
    return live


def test_a_decision_lets_a_run_that_waits_go_on(tmp_path: Path) -> None:
    with open_team(TeamScript(PLAN), tmp_path / "x.db") as team:
        live = begun(team)
        run = live.wait()
        assert (run.status, live.is_running) == ("waiting", False)
        live.decide(run.reviews[0], "approve")
        run = live.wait()
    assert (run.status, sorted(run.results)) == ("done", ["a", "b", "c"])


def test_a_decision_about_one_result_is_taken_while_another_worker_works(tmp_path: Path, gate: Gate) -> None:
    plan = [step("a", approval=True), step("b", "a"), step("c")]
    script = TeamScript(plan, results={"c": say("three").behind(gate)})
    with open_team(script, tmp_path / "x.db") as team:
        live = LiveRun(team)
        live.start("count", plan=Plan.parse(plan), thread_id="t")
        assert gate.entered.wait(30)
        while not live.reviews:
            assert live.is_running
        live.decide(live.reviews[0], "approve")
        while "b" not in team.show("t").results:
            assert live.is_running, "b runs as soon as a is accepted, while c still works"
        gate.release()
        assert live.wait().status == "done"
    assert sorted(worked(team.supervisor.model)) == ["a", "b", "c"]


def test_one_that_works_is_cancelled_and_resumed_and_what_it_is_told_is_kept(tmp_path: Path, gate: Gate) -> None:
    with open_team(held(gate), tmp_path / "x.db") as team:
        live = LiveRun(team)
        live.start("count", plan=Plan.parse(PLAN), thread_id="t")
        assert gate.entered.wait(30)
        live.steer("in whole numbers")
        while "b" not in team.show("t").results:
            assert live.is_running
        assert live.cancel() == "cancelled"
        run = live.wait()
        assert (run.status, sorted(run.results)) == ("interrupted", ["a", "b"])
        [failed] = [record for record in team.journal("t") if record.kind == "model_failed"]
        assert (failed.sub_task, failed.data["error"]) == ("c", "CancelledError")
        gate.release()
        live.resume()
        run = live.wait()
    assert (run.status, [each.text for each in run.instructions]) == ("done", ["in whole numbers"])
    assert worked(team.supervisor.model).count("a") == 1, "what is finished does not run again"


def test_a_raised_budget_lets_it_go_on(tmp_path: Path) -> None:
    with open_team(TeamScript(PLAN), tmp_path / "x.db") as team:
        live = LiveRun(team)
        live.start("count", plan=Plan.parse(PLAN), budget=Budget(model_calls=2))
        [review] = live.wait().reviews
        live.decide(review, "edit", data={"model_calls": 50})
        assert live.wait().status == "done"


def test_waiting_ends_after_its_time_with_the_state_so_far(tmp_path: Path, gate: Gate) -> None:
    with open_team(held(gate), tmp_path / "x.db") as team:
        live = LiveRun(team)
        live.start("count", plan=Plan.parse(PLAN), thread_id="t")
        assert gate.entered.wait(30)
        run = live.wait(timeout_s=0)
        assert (run.thread_id, run.status) == ("t", "running")
        with pytest.raises(ConfigError, match=r"thread 't' is being run: wait\(\) for it, or cancel\(\) it"):
            live.start("another")
        gate.release()
        assert live.wait().status == "done"


def test_what_goes_wrong_is_raised_by_wait(tmp_path: Path) -> None:
    with open_team(TeamScript(PLAN), tmp_path / "x.db") as team:
        live = LiveRun(team)
        with pytest.raises(ConfigError, match="nothing was run yet"):
            live.wait()
        live.start("count", budget="much")
        with pytest.raises(ConfigError):
            live.wait()
        assert not live.is_running
        live.start("count", thread_id="t")
        with pytest.raises(DecisionError, match="is not open"):
            live.decide(f"{live.wait().thread_id}/plan-0", "approve")


def test_without_buttons_a_prompt_asks_in_the_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = iter(["r", "shorter", "y"])
    with open_team(TeamScript([PLAN, PLAN[:1]]), tmp_path / "x.db") as team:
        live = begun(team)
        live.wait()
        monkeypatch.setattr(builtins, "input", lambda *_: next(typed))
        live.ask()
        assert live.wait().status == "waiting"
        live.ask()
        run = live.wait()
    assert (run.status, sorted(run.results)) == ("done", ["a"])
    printed = capsys.readouterr().out
    assert "Shall this plan be carried out?" in printed
    assert "edit" not in printed, "a kernel has no terminal for an editor"


def test_a_run_that_failed_is_the_run_with_its_errors(tmp_path: Path) -> None:
    finish = {"reason": "no use", "decision": "finish", "changes": []}
    script = TeamScript(PLAN[:1], results={"a": fail(RuntimeError("broken"))}, revisions=[finish])
    with open_team(script, tmp_path / "x.db") as team:
        live = LiveRun(team)
        live.start("count", plan=Plan.parse(PLAN[:1]), auto_approve=True)
        assert "broken" in live.wait().results["a"].error
