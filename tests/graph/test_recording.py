"""Recording: the seconds of a sub-task are those in which its worker worked, whatever became of the result."""

import time
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import tool

from orchestrator import Limits, declare
from orchestrator.events import SubTaskChanged
from orchestrator.testing import Gate, TeamScript, call, say
from tests.support.running import LIMIT_S, Running, planned
from tests.support.teams import open_team, step

WORK_S = 0.02


@tool
def work() -> str:
    """Works for a while."""
    until = time.monotonic() + WORK_S
    while time.monotonic() < until:
        pass
    return "worked"


declare(work, risk="read")


@pytest.mark.parametrize(("action", "text"), [("approve", ""), ("edit", "better")])
def test_the_seconds_of_the_work_stay_when_a_human_takes_the_result(tmp_path: Path, action: Any, text: str) -> None:
    plan = [step("a", agent="tooled", approval=True)]
    script = TeamScript(plan, results={"a": [call("work"), say("done")]})
    with open_team(script, tmp_path / "x", work) as team:
        run = team.run("go", thread_id="t")
        team.decide(run.reviews[0].id, "approve")
        run = team.resume("t")
        team.decide(run.reviews[0].id, action, text)
        assert team.resume("t").outcomes["a"].seconds >= WORK_S


def test_a_failure_has_seconds_and_what_was_skipped_has_none(tmp_path: Path) -> None:
    plan = [step("a", agent="tooled"), step("b", "a")]
    finish: Any = [{"reason": "that is enough", "decision": "finish", "changes": []}]
    script = TeamScript(plan, results={"a": [call("work"), say("")]}, revisions=finish)
    with open_team(script, tmp_path / "x", work) as team:
        outcomes = team.run("go", auto_approve=True).outcomes
    assert (outcomes["a"].status, outcomes["b"].status) == ("failed", "skipped")
    assert outcomes["a"].seconds >= WORK_S
    assert outcomes["b"].seconds == 0


def test_a_human_who_rejects_a_result_of_an_earlier_run_adds_no_seconds(tmp_path: Path) -> None:
    gate = Gate()
    plan = planned(step("a", approval=True), step("b", approval=True), step("slow", "b"))
    script = TeamScript([], results={"slow": say("slow").behind(gate)})
    with open_team(script, tmp_path / "x", limits=Limits(attempts=1)) as team:
        run = team.run("go", plan=plan, thread_id="t")
        review = {review.sub_task_id: review for review in run.reviews}
        team.decide(review["b"], "approve")
        running = Running(team.resume, "t")
        assert gate.entered.wait(LIMIT_S)
        team.decide(review["a"], "reject", "no")
        running.seen.until_status("a", "failed")
        gate.release()
        outcome = running.result().outcomes["a"]
    assert (outcome.status, outcome.seconds) == ("failed", 0)


def test_the_end_of_a_sub_task_is_told_with_its_usage_seconds_and_error(tmp_path: Path) -> None:
    finish: Any = [{"reason": "that is enough", "decision": "finish", "changes": []}]
    results = {"a": [call("work"), say("done")], "b": [call("work"), say("")]}
    script = TeamScript([step("a", agent="tooled"), step("b", agent="tooled")], results=results, revisions=finish)
    with open_team(script, tmp_path / "x", work) as team:
        running = Running(team.run, "go", auto_approve=True)
        run = running.result()
    ended = {e.id: e for e in running.seen.events if isinstance(e, SubTaskChanged) and e.status != "running"}
    for name, outcome in run.outcomes.items():
        assert outcome.usage["model_calls"] >= 2, "one call for the tool, and one for the text"
        assert outcome.usage == run.spending.by_sub_task[name].usage()
        event = ended[name]
        assert (event.status, event.usage, event.seconds) == (outcome.status, outcome.usage, outcome.seconds)
        assert event.seconds >= WORK_S
        assert event.error == outcome.error
    assert ended["b"].error
