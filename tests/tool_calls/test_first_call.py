"""Opening: a worker that begins with the answer of a tool."""

from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import tool

from orchestrator import Budget, Policy, Rule, Supervisor, TaskOrchestrator, Team, Worker, declare
from orchestrator.errors import ConfigError
from orchestrator.testing import ScriptedModel, TeamScript, call, say
from tests.support.teams import model_of


@tool
def tables(of: str = "all") -> str:
    """Lists the tables."""
    return f"tables of {of}: rivers"


@tool
def query(sql: str) -> str:
    """Queries them."""
    return f"rows of {sql}"


TOOLS = [declare(tables), declare(query)]
RESULTS: Any = {"a": [call("tables"), call("query", sql="rivers"), say("the Rhine")]}


def open_team(db: Path, *, results: Any = RESULTS, rules: tuple[Rule, ...] = (), **more: Any) -> TaskOrchestrator:
    plan = [{"id": "a", "description": "Which river?", "target_agent": "analyst"}]
    analyst = Worker("analyst", "You query.", tools=TOOLS, begins_with="tables", steps=2)
    model = ScriptedModel(TeamScript(plan, results=results))
    return TaskOrchestrator(
        team=Team(Supervisor(), [analyst], model=model, policy=Policy.of(*rules)), db=str(db), **more
    )


def asked_of_the_worker(team: TaskOrchestrator) -> list[Any]:
    return [r for r in model_of(team).requests if "Sub-task a" in r.text and not r.title]


def test_the_model_is_first_asked_when_the_tool_has_answered(tmp_path: Path) -> None:
    with open_team(tmp_path / "x") as team:
        run = team.run("go", auto_approve=True)
        assert run.status == "done"
        first, second = asked_of_the_worker(team)
        assert "tables of all: rivers" in first.text
        assert "rows of rivers" in second.text
        assert run.outcomes["a"].usage["model_calls"] == 2
        assert run.outcomes["a"].usage["tool_calls"] == 2


def test_it_takes_none_of_the_model_calls_that_the_budget_allows(tmp_path: Path) -> None:
    with open_team(tmp_path / "x", budget=Budget(model_calls=4)) as team:
        run = team.run("go", auto_approve=True)
        assert (run.status, run.usage["model_calls"]) == ("done", 4)  # plan, two steps, answer


def test_a_policy_holds_for_it_as_for_any_call(tmp_path: Path) -> None:
    results = {"a": [call("tables"), say("I may not see the tables")]}
    with open_team(tmp_path / "x", results=results, rules=(Rule(action="refuse", tool="tables"),)) as team:
        assert team.run("go", auto_approve=True).status == "done"
        [only] = asked_of_the_worker(team)
        assert "tables of all" not in only.text
        assert "error" in only.text


def test_who_must_be_asked_is_asked_and_it_is_called_once(tmp_path: Path) -> None:
    with open_team(tmp_path / "x", rules=(Rule(action="ask", tool="tables"),)) as team:
        run = team.run("go")
        team.decide(run.reviews[0].id, "approve")  # the plan
        run = team.resume(run.thread_id)
        [review] = run.reviews
        assert (review.kind, review.subject["tool"]) == ("tool", "tables")
        team.decide(review.id, "approve")
        assert team.resume(run.thread_id).status == "done"
        assert [r.text.count("tables of all: rivers") for r in asked_of_the_worker(team)] == [1, 1]


def test_a_tool_that_it_has_not_got_or_that_needs_arguments_is_an_error_at_once() -> None:
    with pytest.raises(ConfigError, match="begin with 'maps', which is none of its tools"):
        Worker("analyst", "You query.", tools=TOOLS, begins_with="maps")
    with pytest.raises(ConfigError, match="cannot begin with 'query': it needs sql"):
        Worker("analyst", "You query.", tools=TOOLS, begins_with="query")
