"""A run that is given no budget: it asks at 500,000 tokens, and its requests are as plain as without any limit."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from orchestrator import Budget, TaskOrchestrator, Team, compile_graph
from orchestrator.testing import Reply, ScriptedModel, TeamScript
from tests.support.teams import make_team, model_of, step

LONG = [step("t0"), *(step(f"t{n}", f"t{n - 1}") for n in range(1, 12))]
AFFORDED = 9  # calls of 50,000 tokens


def costly(plan: list[dict[str, Any]], **more: Any) -> Team:
    """Return a team whose every call reports 50,000 tokens."""
    team = make_team(TeamScript(plan, **more))
    model = ScriptedModel(TeamScript(plan, **more), counter=lambda text: 25_000)
    for agent in (team.supervisor, *team.workers.values()):
        agent.model = model
    return team


def opened(db: Path | str = "memory://", plan: list[dict[str, Any]] | None = None, **more: Any) -> TaskOrchestrator:
    return TaskOrchestrator(team=costly(plan or LONG), db=str(db), **more)


def test_unattended_it_ends_with_an_answer_and_can_be_resumed() -> None:
    with opened() as team:
        run = team.run("sum up", thread_id="t", auto_approve=True)
        assert (run.status, run.limited_by) == ("limited", "budget")
        assert len(model_of(team).requests) == AFFORDED
        assert run.answer.startswith("the answer"), "a share is kept for it"
        assert "of 425,000 used" in "\n".join(run.errors)
        assert team.resume("t", budget={"tokens": None}).status == "done"


def test_attended_it_asks_how_to_go_on() -> None:
    with opened() as team:
        run = team.run("sum up", thread_id="t", plan=LONG)
        assert (run.status, run.reviews[0].kind) == ("waiting", "steer")
        assert run.reviews[0].subject["budget"]["tokens"] == 500_000
        team.decide(run.reviews[0].id, "edit", data={"tokens": 2_000_000})
        assert team.resume("t").status == "done"


def test_no_answer_is_capped_before_and_after_much_is_used() -> None:
    with opened() as team:
        team.run("sum up", auto_approve=True)
        assert {request.max_tokens for request in model_of(team).requests} == {None}


@pytest.mark.parametrize("given", ["orchestrator", "run", "team"])
def test_an_empty_budget_limits_nothing(given: str) -> None:
    team = costly(LONG)
    if given == "team":
        team = Team(team.supervisor, list(team.workers.values()), budget=Budget())
    own = Budget() if given == "orchestrator" else None
    with TaskOrchestrator(team=team, db="memory://", budget=own) as orchestrator:
        run = orchestrator.run("sum up", auto_approve=True, budget=Budget() if given == "run" else None)
    assert run.status == "done"
    assert run.usage["model_calls"] == len(LONG) + 2


def test_a_given_budget_is_taken_as_it_is() -> None:
    with opened(budget=Budget(model_calls=100)) as team:
        assert team.run("sum up", auto_approve=True).status == "done"


def test_a_thread_keeps_the_limits_that_it_began_with(tmp_path: Path) -> None:
    with opened(tmp_path / "x.db", budget=Budget()) as team:
        waiting = team.run("sum up", thread_id="t")
    with opened(tmp_path / "x.db") as other:
        other.decide(waiting.reviews[0].id, "approve")
        assert other.resume("t").status == "done"


@pytest.mark.parametrize("kind", ["invoke", "ainvoke"])
@pytest.mark.parametrize(("budget", "status"), [(None, "limited"), ({}, "done"), ({"model_calls": 100}, "done")])
def test_the_bare_graph_has_it_too(kind: str, budget: Any, status: str) -> None:
    graph: Any = compile_graph(costly(LONG), checkpointer=InMemorySaver())
    given = {"task": "go", "auto_approve": True, "budget": budget}
    config = {"configurable": {"thread_id": "t"}}
    output = graph.invoke(given, config) if kind == "invoke" else asyncio.run(graph.ainvoke(given, config))
    assert output["status"] == status


def test_calls_without_reported_usage_are_estimated() -> None:
    def script(request: Any) -> Reply:
        reply = TeamScript(LONG, results={task["id"]: "word " * 60_000 for task in LONG})(request)
        return Reply(reply.text, reply.calls, usage=False)

    with TaskOrchestrator(team=make_team(script), db="memory://") as team:
        run = team.run("sum up", auto_approve=True)
        requests = len(model_of(team).requests)
    assert (run.status, run.limited_by) == ("limited", "budget")
    assert requests < len(LONG)
    assert run.usage["input_tokens"] > 100 * requests


def test_failed_calls_that_may_have_been_paid_for_are_estimated() -> None:
    asked: list[str] = []

    def script(request: Any) -> Reply:
        asked.append(request.text)
        if len(asked) == 1:
            return Reply(error=TimeoutError("no answer"))
        return TeamScript([step("a")])(request)

    with TaskOrchestrator(team=make_team(script), db="memory://") as team:
        run = team.run("sum up", auto_approve=True)
    with TaskOrchestrator(team=make_team(TeamScript([step("a")])), db="memory://") as team:
        plain = team.run("sum up", auto_approve=True)
    assert run.usage["model_calls"] == plain.usage["model_calls"] + 1
    assert run.usage["input_tokens"] > plain.usage["input_tokens"] + 100
