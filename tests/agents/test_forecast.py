"""What a plan is expected to cost is shown before it is approved."""

from pathlib import Path
from typing import Any

import pytest
from langgraph.store.memory import InMemoryStore

from orchestrator import Budget, Limits, Outcome, Plan, Supervisor, TaskOrchestrator, Worker
from orchestrator.agents.bounds import bounds_of
from orchestrator.agents.forecast import forecast
from orchestrator.budget.past_spend import add_past, read_past
from orchestrator.budget.price import Price
from orchestrator.budget.spend import Spend
from orchestrator.concurrency import BLOCKING, run_blocking
from orchestrator.persistence.namespaces import PAST_SPEND
from orchestrator.testing import ScriptedModel, TeamScript, fail
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


def looker(**more: Any) -> Worker:
    def look(place: str) -> str:
        """Look at a place, and tell how deep the water is there."""
        return place

    return Worker("worker", "You look at lakes and rivers, and say what you saw.", tools=[look], **more)


@pytest.mark.parametrize("window", [8_000, 128_000, 1_000_000])
def test_without_earlier_runs_it_is_a_range_that_one_can_decide_on_and_says_that_it_is_a_guess(window: int) -> None:
    chain = Plan.parse([step("t0"), *(step(f"t{n}", f"t{n - 1}") for n in range(1, 12))])
    wide = Plan.parse([step(f"t{n}") for n in range(12)])
    model = Windowed([], window=window)
    for plan in (chain, wide):
        for each in (looker(model=model), Worker("worker", "You work.", model=model)):
            found = forecast(plan, {"worker": each}, Limits(), {}, Spend())
            assert all(high < 10 * low for low, high in found.sub_tasks.values())
            assert found.total[1] < 10 * found.total[0]
            assert str(found).endswith("a guess: no earlier runs of this team")


class Windowed(ScriptedModel):
    """A scripted model with a window of its own."""

    window: int = 8_000


def reviewed(db: Path, script: TeamScript, worker: Worker | None = None, task: str = "sum up") -> dict[str, Any]:
    """Return the forecast that a human is shown, with its words."""
    workers = [worker or Worker("worker", "You work.")]
    with TaskOrchestrator(Supervisor(), workers, model=ScriptedModel(script), db=str(db)) as team:
        (review,) = team.run(task).reviews
        return {**review.subject["forecast"], "words": review.stake}


def test_earlier_threads_of_the_same_workers_narrow_it(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    script = TeamScript([step("a"), step("b", "a")])
    first = reviewed(db, script)
    assert (first["earlier_sub_tasks"], first["guessed"]) == (0, ["worker"])
    with TaskOrchestrator(
        Supervisor(), [Worker("worker", "You work.")], model=ScriptedModel(script), db=str(db)
    ) as team:
        spent = [team.run("sum up", auto_approve=True).spending.by_sub_task for _ in range(2)]
    amounts = [amount.tokens for run in spent for amount in run.values()]
    second = reviewed(db, script)
    assert second["words"].endswith("from 4 earlier sub-tasks")
    assert second["tokens"]["a"] == [int(min(amounts) * 0.7), int(max(amounts) * 1.4)]
    assert (second["earlier_sub_tasks"], second["guessed"]) == (4, [])
    for other in (Worker("worker", "You work hard."), looker()):
        assert reviewed(db, script, other)["earlier_sub_tasks"] == 0, "another prompt or tool is another worker"


FINISH: Any = {"reason": "enough", "decision": "finish", "changes": []}


def test_all_attempts_at_a_sub_task_count_and_those_that_failed_do_not(tmp_path: Path) -> None:
    db, failing = (
        tmp_path / "x.db",
        TeamScript([step("a"), step("b")], results={"b": [fail(ValueError("no"))] * 9}, revisions=[FINISH]),
    )
    with TaskOrchestrator(
        Supervisor(), [Worker("worker", "You work.")], model=ScriptedModel(failing), db=str(db)
    ) as team:
        run = team.run("sum up", auto_approve=True)
    assert run.outcomes["b"].status == "failed"
    assert reviewed(db, TeamScript([step("a")]))["earlier_sub_tasks"] == 1


def test_only_the_newest_twenty_are_kept_and_none_is_counted_twice() -> None:
    store = InMemoryStore()
    for n in range(30):
        for _ in range(2):
            run_blocking(add_past(BLOCKING, store, {"w": [(f"t{n}", n + 1)]}))
    assert run_blocking(read_past(BLOCKING, store, ["w", "x"])) == {
        "w": [(f"t{n}", n + 1) for n in range(10, 30)],
        "x": [],
    }


@pytest.mark.parametrize("value", [{}, {"uses": 5}, {"uses": [["a"], 3, ["b", "many"], ["c", -1]]}])
def test_what_another_version_has_written_is_left_out(value: dict[str, Any]) -> None:
    store = InMemoryStore()
    store.put(PAST_SPEND, "w", value)
    assert run_blocking(read_past(BLOCKING, store, ["w"])) == {"w": []}


def test_outliers_of_many_sub_tasks_are_left_out() -> None:
    found = forecast(PLAN, worker(), Limits(), {}, Spend(), past={"worker": [1, *[1000] * 10, 10**6]})
    assert found.sub_tasks["a"] == (700, 1400)


def test_the_bound_grows_with_every_limit_and_shrinks_with_the_plan() -> None:
    script = TeamScript([step("a")])
    small, large = make_team(script, limits=Limits(rounds=1, revisions=0)), make_team(script, limits=Limits(rounds=3))
    assert bounds_of(small).calls < bounds_of(large).calls
    assert bounds_of(small, PLAN).calls < bounds_of(small).calls
    assert bounds_of(large, PLAN).calls == bounds_of(large).calls, "a revision may fill the plan up"
