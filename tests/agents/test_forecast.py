"""What a plan is expected to cost is shown before it is approved."""

from typing import Any

from orchestrator import Budget, Limits, Outcome, Plan, TaskOrchestrator, Worker
from orchestrator.agents.bounds import bounds_of
from orchestrator.agents.forecast import forecast
from orchestrator.budget.prices import Price
from orchestrator.budget.spend import Spend
from orchestrator.testing import ScriptedModel, TeamScript
from tests.support.teams import make_team, step

PLAN = Plan.parse([step("a"), step("b", "a"), step("c", "b")])


def worker() -> dict[str, Worker]:
    return {"worker": Worker("worker", "You work.", model=ScriptedModel([]))}


def done(task_id: str, tokens: int) -> Outcome:
    return Outcome(
        id=task_id,
        key=PLAN.keys[task_id],
        status="succeeded",
        agent="worker",
        usage={"input_tokens": tokens - 10, "output_tokens": 10},
    )


def test_before_anything_ran_it_comes_from_prompts_and_limits() -> None:
    found = forecast(PLAN, worker(), Limits(), {}, Spend())
    assert list(found.sub_tasks) == ["a", "b", "c"]
    assert all(0 < low < high for low, high in found.sub_tasks.values())
    assert found.total[0] > sum(low for low, _ in found.sub_tasks.values()), "the answer costs something too"


def test_what_really_was_spent_narrows_it_and_finished_work_is_left_out() -> None:
    found = forecast(PLAN, worker(), Limits(), {"a": done("a", 1000)}, Spend(900, 100, 1))
    assert found.sub_tasks == {"b": (700, 1400), "c": (700, 1400)}
    assert found.plain()["spent_tokens"] == 1000


def test_the_plan_review_shows_it_and_what_was_spent_on_planning() -> None:
    script = TeamScript([step("a"), step("b")])
    budget = Budget(cost_usd=5, prices={"*": Price(input_usd=1, output_usd=2)})
    with TaskOrchestrator(team=make_team(script), db="memory://", budget=budget) as team:
        run = team.run("sum up", thread_id="t")
    (review,) = run.reviews
    shown: dict[str, Any] = review.subject["forecast"]
    assert set(shown["tokens"]) == {"a", "b"}
    assert shown["spent_tokens"] == run.usage["input_tokens"] + run.usage["output_tokens"] > 0
    assert 0 < shown["total_usd"][0] < shown["total_usd"][1]
    assert review.stake.startswith("2 sub-tasks: likely ")


def test_the_bound_grows_with_every_limit_and_shrinks_with_the_plan() -> None:
    script = TeamScript([step("a")])
    small, large = make_team(script, limits=Limits(rounds=1, revisions=0)), make_team(script, limits=Limits(rounds=3))
    assert bounds_of(small).calls < bounds_of(large).calls
    assert bounds_of(small, PLAN).calls < bounds_of(small).calls
    assert bounds_of(large, PLAN).calls == bounds_of(large).calls, "a revision may fill the plan up"
