"""A sub-task that is done again: because it was sent back, or only because something that it is built on changed."""

from pathlib import Path
from typing import Any

from orchestrator.testing import TeamScript
from tests.support.teams import model_of, open_team, statuses, step

PLAN = [step("a"), step("b", "a"), step("r", "b", agent="reviewer"), step("s", "a", "r", agent="reviewer")]
ACCEPT = {"reason": "fine", "verdict": "accept", "sub_task_id": ""}


def sends_back(task_id: str, reason: str) -> dict[str, Any]:
    return {"reason": reason, "verdict": "changes_requested", "sub_task_id": task_id}


def asked_for(model: Any, heading: str) -> list[str]:
    return [request.last_user for request in model.requests if heading in request.last_user and not request.title]


def test_an_accepted_result_is_not_called_refused_when_something_below_it_changes(tmp_path: Path) -> None:
    verdicts = {"r": [sends_back("b", "b lacks a unit"), ACCEPT], "s": [sends_back("a", "a is old"), ACCEPT]}
    results = {("b", 1): "12", ("b", 2): "12 km", ("a", 1): "an old source", ("a", 2): "a new source"}
    with open_team(TeamScript(PLAN, verdicts=verdicts, results=results), tmp_path / "x") as team:
        run = team.run("task", auto_approve=True)
        first, second = asked_for(model_of(team), "Sub-task b (attempt 2)")
    assert (run.status, set(statuses(run.outcomes).values())) == ("done", {"succeeded"})
    assert run.outcomes["b"].attempt == 2
    assert "It was not accepted. Do it differently:\n- b lacks a unit" in first
    assert "Your result of the attempt before:" in first
    assert "not accepted" not in second
    assert "Your result of the attempt before" not in second
    assert "What an earlier attempt was told:\n- b lacks a unit" in second
    assert "a new source" in second


def test_what_is_sent_back_after_that_is_told_the_result_that_it_was_sent_back_for(tmp_path: Path) -> None:
    verdicts = {"r": [ACCEPT, sends_back("b", "b lacks a unit"), ACCEPT], "s": [sends_back("a", "a is old"), ACCEPT]}
    results = {("b", 1): "12", ("b", 2): "12 km", ("a", 1): "an old source", ("a", 2): "a new source"}
    with open_team(TeamScript(PLAN, verdicts=verdicts, results=results), tmp_path / "x") as team:
        assert team.run("task", auto_approve=True).status == "done"
        (asked,) = asked_for(model_of(team), "Sub-task b (attempt 2)")
    assert "not accepted" in asked
    assert "Your result of the attempt before" in asked
