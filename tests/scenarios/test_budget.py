"""A run and its budget: what is kept, what happens when it runs short, and that it holds after a crash."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import tool as as_tool

from orchestrator import Budget, CallPolicy, Limits, Supervisor, TaskOrchestrator, Team, Worker, declare
from orchestrator.budget.price import Price
from orchestrator.errors import ConfigError, DecisionError
from orchestrator.events import BudgetShort, Spent
from orchestrator.model_calls.retries import Resilience
from orchestrator.testing import Gate, Reply, ScriptedModel, TeamScript, call, fail, hang, run_until_killed, say
from tests.support.teams import make_team, model_of, open_team, statuses, step

PLAN = [step("a"), step("b"), step("c", "a", "b")]


def with_budget(script: Any, budget: Budget, db: Any = "memory://", *tools: Any, **more: Any) -> TaskOrchestrator:
    return TaskOrchestrator(team=make_team(script, *tools, **more), db=str(db), budget=budget)


def spent(run: Any) -> int:
    return run.usage["input_tokens"] + run.usage["output_tokens"]


def test_a_budget_that_suffices_changes_nothing() -> None:
    with with_budget(TeamScript(PLAN), Budget(tokens=100_000, model_calls=50, wall_clock_s=600)) as team:
        run = team.run("sum up", auto_approve=True)
    assert (run.status, run.answer) == ("done", "the answer")
    assert run.usage["model_calls"] == 5


def test_every_answer_is_capped_to_what_was_reserved() -> None:
    endless = "word " * 50_000
    script = TeamScript([step("a")], results={"a": endless}, summary=endless)
    with with_budget(script, Budget(tokens=6000, answer_tokens=300)) as team:
        run = team.run("sum up", auto_approve=True)
        assert [request.max_tokens for request in model_of(team).requests] == [300, 300, 300]
    assert spent(run) <= 6000


def test_unattended_it_finishes_with_what_there_is_and_says_what_is_missing() -> None:
    plan = [step("a"), step("b", "a"), step("c", "b"), step("d", "c")]
    with with_budget(TeamScript(plan), Budget(model_calls=4)) as team:
        run = team.run("sum up", auto_approve=True)
        assert len(model_of(team).requests) == 4
    assert (run.status, run.exit_code) == ("limited", 4)
    assert statuses(run.outcomes) == {"a": "succeeded", "b": "succeeded", "c": "failed", "d": "skipped"}
    assert run.answer.startswith("the answer")
    assert "c (do c): not finished: the budget of model calls is spent (3 of 3 used" in "\n".join(run.errors)


def test_without_room_for_a_summary_the_results_are_given_as_they_are() -> None:
    with with_budget(TeamScript([step("a"), step("b")]), Budget(model_calls=3, summary=0)) as team:
        run = team.run("sum up", auto_approve=True)
    assert run.status == "limited"
    assert "do a:\nresult of a" in run.answer
    assert "do b:\nresult of b" in run.answer


def test_no_budget_for_a_plan_ends_the_run_with_a_clear_reason() -> None:
    with with_budget(TeamScript(PLAN), Budget(tokens=60)) as team:
        run = team.run("sum up", auto_approve=True)
        assert model_of(team).requests == []
    assert (run.status, run.answer) == ("limited", "")
    assert "the budget of tokens is spent (0 of 51 used" in run.errors[0]


def look(tool_calls: int) -> list[Any]:
    return [*(call("look", at=number) for number in range(tool_calls)), say("found")]


def looker(seen: list[int]) -> Any:
    def look(at: int) -> str:
        """Looks somewhere."""
        seen.append(at)
        return f"{at} is empty"

    return declare(as_tool(look), risk="read", effect="none")


def test_a_human_raises_the_budget_and_the_worker_goes_on_from_its_last_step() -> None:
    seen: list[int] = []
    script = TeamScript([step("a", agent="tooled")], results={"a": look(4)})
    with with_budget(script, Budget(model_calls=4, summary=0.2), "memory://", looker(seen)) as team:
        team.run("sum up", thread_id="t", plan=None, on_review=lambda review: None)
        team.decide(team.reviews("t")[0].id, "approve")
        run = team.resume("t")
        assert run.status == "waiting"
        (review,) = run.reviews
        assert review.kind == "steer"
        assert "the budget of model calls is spent" in review.subject["problems"][0]
        assert review.subject["spent"]["model_calls"] == 3
        with pytest.raises(DecisionError, match="the budget as it was"):
            team.decide(review.id, "edit", data={"model_calls": 4})
        with pytest.raises(DecisionError, match="no budget"):
            team.decide(review.id, "edit", data={"tokns": 4})
        team.decide(review.id, "edit", data={"model_calls": 20})
        run = team.resume("t")
    assert run.status == "done"
    assert seen == [0, 1, 2, 3]
    assert run.usage["model_calls"] == 7


def test_one_answer_is_enough_for_all_that_wait_for_room() -> None:
    plan = [step(name) for name in "abcd"]
    with with_budget(TeamScript(plan), Budget(model_calls=3)) as team:
        team.run("sum up", thread_id="t")
        team.decide(team.reviews("t")[0].id, "approve")
        run = team.resume("t")
        assert len(run.reviews) == 1
        run = team.resume("t", budget={"model_calls": 30})
    assert run.status == "done"
    assert sorted(statuses(run.outcomes).values()) == ["succeeded"] * 4


def test_a_human_finishes_with_what_there_is() -> None:
    seen: list[int] = []
    script = TeamScript([step("a", agent="tooled")], results={"a": look(9)})
    with with_budget(script, Budget(model_calls=4, summary=0.3), "memory://", looker(seen)) as team:
        team.run("sum up", thread_id="t")
        team.decide(team.reviews("t")[0].id, "approve")
        run = team.resume("t")
        team.decide(run.reviews[0].id, "approve")
        run = team.resume("t")
        told = model_of(team).requests[-1].text
    assert run.status == "limited"
    assert "0 is empty" in told, "what was paid for is used in the answer"
    assert run.answer.startswith("the answer")


def test_a_human_stops_it() -> None:
    with with_budget(TeamScript(PLAN), Budget(model_calls=2)) as team:
        team.run("sum up", thread_id="t")
        team.decide(team.reviews("t")[0].id, "approve")
        run = team.resume("t")
        team.decide(run.reviews[0].id, "stop")
        run = team.resume("t")
    assert run.status == "stopped"


def test_it_warns_and_saves_before_it_is_spent() -> None:
    events: list[Any] = []
    budget = Budget(model_calls=10, warn_at=0.3, shrink_at=0.5)
    with with_budget(TeamScript([step(name) for name in "abcdefgh"]), budget) as team:
        team.run("sum up", auto_approve=True, on_event=events.append)
    assert [event.stage for event in events if isinstance(event, BudgetShort)] == ["warn", "short", "spent"]
    spends = [event.model_calls for event in events if isinstance(event, Spent)]
    assert spends == list(range(1, 11))


def test_the_economy_model_takes_over_when_little_is_left() -> None:
    script = TeamScript([step("a"), step("b", "a"), step("c", "b")])
    cheap = ScriptedModel(script)
    team = make_team(script)
    team.calls = CallPolicy(economy=cheap)
    with TaskOrchestrator(team=team, db="memory://", budget=Budget(model_calls=10, shrink_at=0.3)) as orchestrator:
        run = orchestrator.run("sum up", auto_approve=True)
        assert (len(model_of(orchestrator).requests), len(cheap.requests)) == (3, 2)
    assert run.status == "done"


def test_cost_is_limited_by_given_prices() -> None:
    prices = {"*": Price(input_usd=1000, output_usd=2000)}
    script = TeamScript([step(name) for name in "abcdef"])
    with with_budget(script, Budget(cost_usd=1.5, prices=prices, answer_tokens=64)) as team:
        run = team.run("sum up", auto_approve=True)
    assert run.status == "limited"
    assert 0 < run.spending.total.cost_usd <= 1.5


def test_a_limit_of_cost_needs_known_prices_before_anything_is_spent() -> None:
    with with_budget(TeamScript(PLAN), Budget(cost_usd=1)) as team:
        with pytest.raises(ConfigError, match=r"price of 'ScriptedModel' \(supervisor\) is not known"):
            team.run("sum up")
        assert model_of(team).requests == []


def test_published_prices_are_known_by_the_models_name() -> None:
    from orchestrator.budget.price import published_nano_usd

    mini = published_nano_usd("gpt-4.1-mini", "", 1_000_000, 0)
    assert mini is not None
    assert mini > 0
    assert published_nano_usd("nobody-knows-this", "http://127.0.0.1:1/v1", 1, 1) is None


def test_usage_is_told_by_model_worker_and_sub_task() -> None:
    with with_budget(TeamScript(PLAN), Budget()) as team:
        usage = team.run("sum up", auto_approve=True).to_dict()["usage"]
    assert usage["model_calls"] == 5
    assert usage["by_model"]["ScriptedModel"]["model_calls"] == 5
    assert {name: part["model_calls"] for name, part in usage["by_worker"].items()} == {"supervisor": 2, "worker": 3}
    assert set(usage["by_sub_task"]) == {"a", "b", "c"}
    assert usage["cost_usd"] is None, "the price of this model is not known, and is not made up"


def test_a_failed_request_that_may_have_been_paid_for_counts_as_reserved() -> None:
    asked: list[Any] = []

    def script(request: Any) -> Reply:
        asked.append(request)
        return fail(TimeoutError("hung")) if len(asked) == 2 else TeamScript([step("a")])(request)

    team = make_team(script)
    team.calls = CallPolicy(resilience=Resilience(first_wait_s=0))
    with TaskOrchestrator(team=team, db="memory://", budget=Budget(tokens=50_000, answer_tokens=500)) as orchestrator:
        run = orchestrator.run("sum up", auto_approve=True)
    assert run.status == "done"
    assert spent(run) > 500
    assert run.usage["model_calls"] == 4


def killed_in_a_call(db: str) -> None:
    """The process dies while a call of the worker is under way."""
    import os
    import signal

    def script(request: Any) -> Reply:
        if "Sub-task a" in request.text:
            os.kill(os.getpid(), signal.SIGKILL)
        return TeamScript([step("a")])(request)

    with with_budget(script, Budget(tokens=20_000, answer_tokens=700), db) as team:
        team.run("sum up", thread_id="t", auto_approve=True)


def test_a_kill_in_the_middle_of_a_paid_call_never_counts_too_little(tmp_path: Path) -> None:
    db = str(tmp_path / "o.db")
    run_until_killed(killed_in_a_call, db)
    with open_team(TeamScript([step("a")]), db) as team:
        before = team.show("t")
        assert before.spending.reserved.output_tokens == 700
        run = team.resume("t")
    assert run.status == "done"
    assert run.usage["model_calls"] == 4, "the plan, the call that was cut off, the same call again, the answer"
    assert run.usage["output_tokens"] >= 700
    assert run.spending.reserved.tokens == 0


def test_two_runs_on_one_thread_have_a_budget_each() -> None:
    with with_budget(TeamScript([step("a")]), Budget(model_calls=4)) as team:
        first = team.run("sum up", thread_id="t", auto_approve=True)
        second = team.run("sum up", thread_id="t", auto_approve=True)
    assert (first.usage["model_calls"], second.usage["model_calls"]) == (3, 3)


def test_steps_that_repeat_end_the_attempt_and_then_the_supervisor_decides() -> None:
    seen: list[int] = []
    script = TeamScript(
        [step("a", agent="tooled")],
        results={"a": [call("look", at=1)] * 12},
        revisions=[{"reason": "it cannot be done", "decision": "finish", "changes": []}],
    )
    with open_team(script, "memory://", looker(seen)) as team:
        run = team.run("sum up", auto_approve=True)
        asked = [request for request in model_of(team).requests if request.tools or "repeat" in request.text]
    assert run.outcomes["a"].status == "failed"
    assert "going round in circles" in run.outcomes["a"].error
    assert len(seen) <= 3
    assert "You are repeating yourself" in asked[2].text
    assert "You have no more tool calls" in asked[-1].text


def test_sync_graphs_keep_to_the_budget_too() -> None:
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.store.memory import InMemoryStore

    from orchestrator import compile_graph

    workers = [Worker("worker", "You work.")]
    model = ScriptedModel(TeamScript([step(name) for name in "abcdef"]))
    team = Team(Supervisor(), workers, model=model, budget=Budget(model_calls=4), limits=Limits(parallel_workers=3))
    graph = compile_graph(team, checkpointer=InMemorySaver(), store=InMemoryStore())
    state = graph.invoke(
        {"task": "sum up", "auto_approve": True}, {"configurable": {"thread_id": "t"}}, durability="sync"
    )
    assert state["status"] == "limited"
    assert len(model.requests) == 4


def test_a_run_in_a_loop_that_is_cancelled_counts_the_call_that_was_under_way(tmp_path: Path) -> None:
    gate = Gate()

    async def scene() -> Any:
        script = TeamScript([step("a")], results={"a": say("late").behind(gate)})
        with with_budget(script, Budget(tokens=20_000, answer_tokens=600), tmp_path / "o.db") as team:
            running = asyncio.create_task(team.arun("sum up", thread_id="t", auto_approve=True))
            await asyncio.to_thread(gate.entered.wait)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            return await team.ashow("t")

    run = asyncio.run(scene())
    assert run.usage["output_tokens"] >= 600


def test_a_hung_call_is_cut_off_when_the_time_of_the_run_is_up() -> None:
    script = TeamScript([step("a"), step("b")], results={"a": hang()})
    with with_budget(script, Budget(wall_clock_s=6, summary=0.6)) as team:
        run = team.run("sum up", auto_approve=True)
    assert run.status == "limited"
    assert statuses(run.outcomes) == {"a": "failed", "b": "succeeded"}
    assert "the budget of time is spent" in run.outcomes["a"].error
    assert [reference.sub_task_id for reference in run.references] == ["b"]


def test_a_hung_call_of_a_model_is_cut_off_at_its_time_limit_and_tried_again() -> None:
    asked: list[Any] = []

    def script(request: Any) -> Reply:
        asked.append(request)
        return hang() if len(asked) == 2 else TeamScript([step("a")])(request)

    team = make_team(script)
    team.calls = CallPolicy(time_limit_s=1.5, resilience=Resilience(first_wait_s=0))
    with TaskOrchestrator(team=team, db="memory://") as orchestrator:
        run = orchestrator.run("sum up", auto_approve=True)
    assert run.status == "done"
    assert len(asked) == 4
