"""A team works with copies of its agents: what one team or orchestrator changes, no other one sees."""

import threading
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import tool

from orchestrator import Budget, Limits, Policy, Rule, SubTask, Supervisor, TaskOrchestrator, Team, Worker
from orchestrator.errors import PlanError
from orchestrator.runs.loading import load_team
from orchestrator.testing import ScriptedModel, TeamScript, say, structure
from tests.support.teams import step


def planner(agent: str, count: int = 1) -> ScriptedModel:
    return ScriptedModel(TeamScript([step(f"s{i}", agent=agent) for i in range(count)]))


def seen_by(model: ScriptedModel) -> str:
    return "\n".join(request.text for request in model.requests)


def test_one_supervisor_in_two_orchestrators_plans_for_each_with_its_own_workers() -> None:
    boss, models = Supervisor(), {name: planner(name) for name in ("cook", "typist")}
    kitchen, office = (
        TaskOrchestrator(boss, [Worker(name, f"You {name}.")], model=model, db="memory://")
        for name, model in models.items()
    )
    with kitchen, office:
        assert kitchen.run("make soup", auto_approve=True).status == "done"
        assert office.run("write a letter", auto_approve=True).status == "done"
    assert "typist" not in seen_by(models["cook"])
    assert "cook" not in seen_by(models["typist"])


def test_a_supervisor_in_two_teams_keeps_to_the_limits_of_each() -> None:
    boss, worker = Supervisor(model=planner("clerk", 4)), Worker("clerk", "You look.")
    narrow = Team(boss, [worker], limits=Limits(sub_tasks=3, plan_repairs=0))
    wide = Team(boss, [worker])
    with pytest.raises(PlanError, match="the limit is 3"):
        narrow.supervisor.decompose("t")
    assert len(wide.supervisor.decompose("t").sub_tasks) == 4


def test_one_team_in_two_orchestrators_keeps_two_budgets_limits_and_models() -> None:
    first, second = planner("clerk", 4), planner("clerk", 4)
    team = Team(Supervisor(), [Worker("clerk", "You look.")])
    guests = TaskOrchestrator(
        team=team, model=first, budget=Budget(model_calls=2), limits=Limits(rounds=7), db="memory://"
    )
    staff = TaskOrchestrator(team=team, model=second, budget=Budget(model_calls=1000), db="memory://")
    with guests, staff:
        assert guests.run("t", auto_approve=True).status == "limited"
        assert staff.run("t", auto_approve=True).status == "done"
    assert guests.team.limits.rounds == 7
    assert staff.team.limits == team.limits == Limits()
    assert (len(first.requests), len(second.requests)) == (1, 6), "one of two calls is kept for the answer"


def test_one_worker_in_two_teams_uses_the_model_of_each() -> None:
    worker, models = Worker("clerk", "You look."), [planner("clerk"), planner("clerk")]
    teams = [Team(Supervisor(), [worker], model=model) for model in models]
    for team, model in zip(teams, models, strict=True):
        with TaskOrchestrator(team=team, db="memory://") as orchestrator:
            assert orchestrator.run("t", auto_approve=True).status == "done"
        assert len(model.requests) == 3, "the plan, the sub-task and the answer"


def test_two_orchestrators_of_one_team_run_at_once_in_threads(tmp_path: Path) -> None:
    def look(at: str) -> str:
        """Looks."""
        return at

    team = Team(Supervisor(), [Worker("clerk", "You look.", tools=[look])])
    models = [planner("clerk", 8) for _ in range(4)]
    together, statuses = threading.Barrier(len(models)), {}

    def work(at: int) -> None:
        together.wait()
        budget = Budget(model_calls=2) if at % 2 else Budget(model_calls=100)
        with TaskOrchestrator(team=team, model=models[at], budget=budget, db=str(tmp_path / f"{at}.db")) as mine:
            statuses[at] = mine.run("t", auto_approve=True).status

    threads = [threading.Thread(target=work, args=(at,)) for at in range(len(models))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == {0: "done", 1: "limited", 2: "done", 3: "limited"}
    assert [len(model.requests) for model in models] == [10, 1, 10, 1], "one of two calls is kept for the answer"


def test_what_is_given_is_not_written_to() -> None:
    @tool
    def look(at: str) -> str:
        """Looks."""
        return at

    model = planner("clerk")
    boss, worker, tools = Supervisor(), Worker("clerk", "You look.", tools=[look]), [look]
    workers = [worker]
    team = Team(boss, workers)
    with TaskOrchestrator(team=team, model=model, budget=Budget(tokens=9_000_000), db="memory://") as orchestrator:
        orchestrator.team.add_tools({"*": [tool(lambda at: at, description="Finds.")]})
        orchestrator.team.use_policy(Policy.of(Rule(action="refuse", tool="look")))
        assert orchestrator.run("t", auto_approve=True).status == "done"
    assert not any(agent.has_model for agent in (boss, worker, team.supervisor, team.workers["clerk"]))
    assert (workers, list(team.workers), look.metadata) == ([worker], ["clerk"], None)
    assert worker.tools == team.workers["clerk"].tools == tuple(tools)
    assert (team.budget, team.policy) == (Budget.default(), Policy())


def test_an_agent_of_one_team_can_be_called_by_itself_and_borrows_what_it_lacks_from_the_team() -> None:
    replies = [structure({"sub_tasks": [step("a", agent="clerk")]}), say("looked"), say("all is well [a]")]
    model = ScriptedModel(replies)
    boss, worker = Supervisor(), Worker("clerk", "You look.")
    with TaskOrchestrator(boss, [worker], model=model, db="memory://"):
        assert list(boss.workers) == ["clerk"]
        assert boss.decompose("t").order == ("a",)
        assert worker.execute(SubTask(id="a", description="look", target_agent="clerk")).text == "looked"
        assert boss.summarize([]).startswith("all is well")
    assert boss.model is worker.model is model


def test_a_supervisor_called_by_itself_plans_for_the_team_that_it_was_given_to_last() -> None:
    boss = Supervisor(model=planner("typist"))
    Team(boss, [Worker("cook", "You cook.")])
    Team(boss, [Worker("typist", "You type.")])
    assert boss.decompose("t").order == ("s0",)


def test_the_limits_of_a_team_can_be_set_afterwards() -> None:
    team = Team(Supervisor(model=planner("clerk", 4)), [Worker("clerk", "You look.")])
    team.limits = Limits(sub_tasks=3, plan_repairs=0)
    with pytest.raises(PlanError, match="the limit is 3"):
        team.supervisor.decompose("t")


def test_a_team_of_a_module_is_loaded_as_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "constant_team.py").write_text(
        "from orchestrator import Supervisor, Team, Worker\nteam = Team(Supervisor(), [Worker('clerk', 'You look.')])\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    name, model = "constant_team:team", planner("clerk")
    load_team(name).use_model(model)
    import constant_team  # type: ignore[import-not-found]

    loaded: Any = constant_team.team
    assert not loaded.supervisor.has_model
    assert not load_team(name).supervisor.has_model
