"""A run that its budget has ended goes on when the budget is raised, from any process, and repeats nothing."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator import Budget, TaskOrchestrator
from orchestrator.concurrency import BLOCKING, run_blocking
from orchestrator.errors import ConfigError
from orchestrator.runs.thread_list import ThreadList
from orchestrator.testing import TeamScript, call, say
from tests.support.teams import make_team, model_of, statuses, step, worked

CHAIN = [step("a"), step("b", "a"), step("c", "b"), step("d", "c")]


def open_with(script: TeamScript, budget: Budget | None = None, db: Any = "memory://", *tools: Any) -> TaskOrchestrator:
    return TaskOrchestrator(team=make_team(script, *tools), db=str(db), budget=budget)


def test_what_was_cut_off_or_never_begun_is_done_and_nothing_is_done_again(tmp_path: Path) -> None:
    with open_with(TeamScript(CHAIN), Budget(model_calls=4), tmp_path / "s.db") as team:
        run = team.run("sum up", thread_id="t", auto_approve=True)
        assert (run.status, run.limited_by) == ("limited", "budget")
        assert statuses(run.outcomes) == {"a": "succeeded", "b": "succeeded", "c": "failed", "d": "skipped"}
    with open_with(TeamScript(CHAIN), None, tmp_path / "s.db") as other:
        run = other.resume("t", budget={"model_calls": 20})
        assert worked(model_of(other)) == ["c", "d"]
    assert (run.status, run.limited_by, run.errors) == ("done", "", ())
    assert statuses(run.outcomes) == dict.fromkeys("abcd", "succeeded")
    assert run.answer == "the answer"
    assert run.usage["model_calls"] == 4 + 3, "spending goes on from where it was"


def test_a_budget_that_is_still_too_small_ends_it_again_and_it_can_be_raised_again() -> None:
    with open_with(TeamScript(CHAIN), Budget(model_calls=3)) as team:
        team.run("sum up", thread_id="t", auto_approve=True)
        run = team.resume("t", budget={"model_calls": 5})
        assert (run.status, run.usage["model_calls"]) == ("limited", 5)
        run = team.resume("t", budget={"model_calls": 50})
        assert run.status == "done"
        assert sorted(worked(model_of(team))) == ["a", "b", "c", "d"]


def test_a_worker_that_was_cut_off_is_shown_what_it_had() -> None:
    def look(at: int) -> str:
        """Looks somewhere."""
        return f"{at} is empty"

    script = TeamScript(
        [step("a", agent="tooled")], results={"a": [*(call("look", at=n) for n in range(6)), say("all")]}
    )
    with open_with(script, Budget(model_calls=5, summary=0.3), "memory://", look) as team:
        assert team.run("sum up", thread_id="t", auto_approve=True).status == "limited"
        before = len(model_of(team).requests)
        run = team.resume("t", budget={"model_calls": 30})
        told = model_of(team).requests[before].text
    assert run.status == "done"
    assert "cut off: go on from there" in told
    assert "0 is empty" in told


def test_a_run_that_had_no_room_to_plan_plans_when_it_has() -> None:
    with open_with(TeamScript(CHAIN), Budget(tokens=60)) as team:
        first = team.run("sum up", thread_id="t", auto_approve=True)
        assert (first.status, first.limited_by, first.plan) == ("limited", "budget", None)
        run = team.resume("t", budget={"tokens": 100_000})
    assert run.status == "done"


def test_no_plan_of_the_task_before_is_taken_for_the_one_that_there_was_no_room_for() -> None:
    with open_with(TeamScript(CHAIN)) as team:
        team.run("sum up", thread_id="t", auto_approve=True)
        run = team.run("and now this", thread_id="t", auto_approve=True, budget=Budget(tokens=60))
    assert (run.status, run.plan, run.outcomes, run.answer) == ("limited", None, {}, "")


def test_an_answer_that_there_was_no_room_for_is_written() -> None:
    with open_with(TeamScript(CHAIN), Budget(model_calls=5, summary=0)) as team:
        first = team.run("sum up", thread_id="t", auto_approve=True)
        assert (first.status, first.limited_by) == ("limited", "budget")
        run = team.resume("t", budget={"model_calls": 6})
        assert (run.status, run.answer) == ("done", "the answer")
        assert len(model_of(team).requests) == 6


def test_a_run_that_no_budget_ended_has_none_to_raise() -> None:
    with open_with(TeamScript(CHAIN)) as team:
        team.run("sum up", thread_id="t", auto_approve=True)
        with pytest.raises(ConfigError, match="'t' is done, and no budget ended it"):
            team.resume("t", budget={"tokens": 10})


def test_without_a_higher_budget_a_limited_run_is_shown_as_it_is() -> None:
    with open_with(TeamScript(CHAIN), Budget(model_calls=4)) as team:
        first = team.run("sum up", thread_id="t", auto_approve=True)
        assert team.resume("t") == first
        assert len(model_of(team).requests) == 4


def test_a_run_killed_before_anything_was_saved_begins_with_the_raised_budget() -> None:
    with open_with(TeamScript([step("a")])) as team:
        given = {"task": "sum up", "auto_approve": True, "budget": {"model_calls": 1, "answer_tokens": 77}}
        run_blocking(ThreadList(team.persistence.store).begin(BLOCKING, "t", {}, given))
        run = team.resume("t", budget={"model_calls": 3, "tokens": 9000})
        assert [request.max_tokens for request in model_of(team).requests] == [77, 77, 77]
    assert run.status == "done"
