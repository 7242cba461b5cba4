"""Mistakes that a new user makes: each is told at once, in one line that says what to do instead."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import BaseTool

import orchestrator
from orchestrator import OrchestratorError, PlanError, TaskOrchestrator
from orchestrator.testing import ScriptedModel, TeamScript
from tests.support.teams import step

API: Any = orchestrator  # mypy would refuse the mistakes of these tests
MODEL = ScriptedModel(TeamScript([step("a", agent="clerk")]))


def look(at: str) -> str:
    """Looks at something."""
    return at


def silent(at: str) -> str:
    return at


def own_team(docs: str | None = None) -> Any:
    return None


def worker(**fields: Any) -> Any:
    return API.Worker("clerk", "You look.", **{"model": MODEL, **fields})


def team(**fields: Any) -> Any:
    return API.Team(API.Supervisor(), [worker()], **fields)


def engine(*arguments: Any, **fields: Any) -> Any:
    return API.TaskOrchestrator(*arguments, db="memory://", **fields)


MISTAKES: dict[str, tuple[Callable[[], Any], str]] = {
    "a tool's name for a tool": (
        lambda: worker(tools=["search"]),
        "worker 'clerk' cannot use a str ('search') as a tool; a tool is a LangChain tool, or a function with types "
        "and a docstring",
    ),
    "a tool for a list of tools": (lambda: worker(tools=look), "has to be a list, as in tools=[search]"),
    "a text for a list of tools": (lambda: worker(tools="look"), "has to be a list, as in tools=[search]"),
    "the class of a tool": (lambda: worker(tools=[BaseTool]), "the class BaseTool: make one, as in BaseTool(…)"),
    "a tool without docstring": (lambda: worker(tools=[silent]), "cannot use 'silent' as a tool: it needs a docstring"),
    "a lambda as a tool": (lambda: worker(tools=[lambda at: at]), "cannot use '<lambda>' as a tool"),
    "a tool twice": (lambda: worker(tools=[look, look]), "worker 'clerk' has two tools with the name 'look'"),
    "no steps": (lambda: worker(steps=0), "worker 'clerk' can have 1 step or more, not 0"),
    "a first call that is no tool": (lambda: worker(begins_with="find"), "'find', which is none of its tools"),
    "a name with a space": (lambda: API.Worker("my clerk", "You look."), "use letters, digits and _, as in my_worker"),
    "a number for a name": (
        lambda: API.Worker(5, "You look."),
        "the name of an agent has to be a text, not an int (5)",
    ),
    "no prompt": (lambda: API.Worker("clerk", None), "the prompt of 'clerk' has to be a text, not a NoneType"),
    "a text for a worker": (lambda: engine(workers=["clerk"]), "a worker has to be a Worker, as in Worker('clerk', "),
    "the class of a worker": (lambda: engine(workers=[API.Worker]), "the class Worker: make one, as in Worker(…)"),
    "a role that is not called": (lambda: engine(workers=[API.reviewer]), "call it, as in reviewer(…)"),
    "a worker for a list": (
        lambda: engine(workers=worker()),
        "workers has to be a list, as in workers=[researcher(), ",
    ),
    "workers in first place": (lambda: engine([worker()]), "the first argument is the supervisor: write workers=[…]"),
    "a worker as supervisor": (lambda: engine(worker(), [worker()]), "supervisor has to be a Supervisor, as in Superv"),
    "no workers": (lambda: engine(), "a team needs at least one worker"),
    "two workers of one name": (lambda: engine(workers=[worker(), worker()]), "two workers have the name 'clerk'"),
    "a worker named as a node": (
        lambda: engine(workers=[API.Worker("summarize", "x")]),
        "call the worker something else",
    ),
    "a team and workers": (lambda: engine(workers=[worker()], team=team()), "give either team=, or the two"),
    "a team that is not made": (
        lambda: engine(team=own_team),
        "team has to be a Team, as in Team(Supervisor(), [resear",
    ),
    "a graph of workers": (lambda: API.compile_graph([worker()]), "team has to be a Team"),
    "a number for a budget": (
        lambda: team(budget=500),
        "budget has to be a Budget, as in Budget(tokens=50_000), not an",
    ),
    "a dict for limits": (
        lambda: team(limits={"rounds": 2}),
        "limits has to be a Limits, as in Limits(rounds=5), not a d",
    ),
    "a path for a policy": (lambda: team(policy="policy.toml"), "policy has to be a Policy, as in Policy.of(Rule(…))"),
    "a budget of unknown kind": (
        lambda: API.Budget(token=5),
        "Budget: there is no 'token', use tokens, cost_usd, model_c",
    ),
    "a budget of nothing": (lambda: API.Budget(tokens=0), "Budget: tokens should be greater than or equal to 1, not 0"),
    "a share over one": (lambda: API.Budget(workers={"clerk": 2}), "the share of 'clerk' is 2"),
    "a limit of nothing": (lambda: API.Limits(rounds=0), "Limits: rounds should be greater than or equal to 1, not 0"),
    "fields by position": (lambda: API.Plan([step("a")]), "Plan takes its fields by name: sub_tasks=…"),
    "a rule that permits": (
        lambda: API.Rule(action="permit"),
        "Rule: action should be 'allow', 'ask' or 'refuse', not 'p",
    ),
    "a sub-task without agent": (lambda: API.SubTask(id="a", description="d"), "SubTask: 'target_agent' is missing"),
    "an id with a space": (lambda: API.SubTask(id="a b", description="d", target_agent="x"), "SubTask: id "),
    "a policy of dicts": (
        lambda: API.Policy.of({"action": "permit"}),
        "Policy: rules.0.action should be 'allow', 'ask'",
    ),
    "a class for a model": (lambda: worker(model=ScriptedModel), "the class ScriptedModel: make one"),
    "a chain for a model": (
        lambda: worker(model=RunnableLambda(str)),
        "a chat model of LangChain or a model's name, such",
    ),
    "a model of a team": (lambda: team(model=5), "model has to be a chat model of LangChain or a model's name"),
    "one fallback": (
        lambda: API.CallPolicy(fallbacks="gpt-4.1-mini"),
        "fallbacks has to be a list, as in fallbacks=['",
    ),
    "a number for a fallback": (
        lambda: API.CallPolicy(fallbacks=[5]),
        "a fallback has to be a chat model of LangChain",
    ),
    "a number for a database": (
        lambda: API.Persistence(5),
        "db has to be a path, or a URL such as sqlite:///runs.db, not",
    ),
    "another kind of database": (
        lambda: API.Persistence("redis://here"),
        "unknown database URL 'redis://here': use sqli",
    ),
    "an object about threads": (lambda: engine(workers=[worker()], about={"at": Path()}), "about has to be JSON-plain"),
    "a store by name": (
        lambda: API.SharedMemory("runs.db"),
        "store has to be a store of LangGraph, such as InMemoryStore",
    ),
    "a text for a sub-task": (
        lambda: worker().execute("look"),
        "the sub-task has to be a SubTask, such as plan[0], not a",
    ),
    "texts for entries": (
        lambda: API.Supervisor(model=MODEL).summarize(["x"]),
        "as memory.get_recent() gives them, not",
    ),
    "a task of another type": (lambda: API.Supervisor().decompose(5), "the task has to be a text that says what to do"),
    "settings as a dict": (
        lambda: API.chat_model({"model": "m"}),
        "settings has to be ModelSettings or a model's name",
    ),
    "an unknown risk": (
        lambda: API.declare(look, risk="none"),
        "risk='none' cannot be declared: use 'read' or 'write' or 'execute' or 'spend'",
    ),
    "an unknown effect": (
        lambda: API.declare(look, effect=True),
        "effect=True cannot be declared: use 'none' or 'idem",
    ),
    "an unknown trust": (
        lambda: API.declare(look, trust="no"),
        "trust='no' cannot be declared: use 'trusted' or 'untru",
    ),
    "no time for a tool": (
        lambda: API.declare(look, time_limit_s=0),
        "time_limit_s=0 cannot be declared: use a number ov",
    ),
    "a declaration of a text": (lambda: API.declare("look"), "declare takes a tool or a function, not a str ('look')"),
    "a declaration of a class": (
        lambda: API.declare(BaseTool, risk="read"),
        "declare takes a tool or a function, not the",
    ),
    "a declaration of a built-in": (lambda: API.declare(len, risk="read"), "make a tool of it first, with @tool"),
}


def told(act: Callable[[], Any]) -> str:
    """The message of the error that a mistake raises; a traceback of its own would end at the user's line."""
    with pytest.raises(OrchestratorError) as raised:
        act()
    message = str(raised.value)
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_at_once(mistake: str) -> None:
    act, text = MISTAKES[mistake]
    assert text in told(act)


@pytest.fixture
def running() -> Iterator[TaskOrchestrator]:
    with TaskOrchestrator(workers=[worker()], model=MODEL, db="memory://") as opened:
        yield opened


ON_THREADS: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "no task": (lambda o, _: o.run(""), "the task is empty: say what to do"),
    "a list of tasks": (lambda o, _: o.run(["a", "b"]), "the task has to be a text that says what to do, not a list"),
    "a number for a thread": (
        lambda o, _: o.run("x", thread_id=5),
        "the thread has to be a thread's id, as in thread_id=",
    ),
    "tokens for a budget": (
        lambda o, _: o.run("x", budget=500),
        "budget has to be a Budget, as in Budget(tokens=50_000)",
    ),
    "what is no callback": (
        lambda o, _: o.run("x", on_event=True),
        "on_event has to be a function of one argument, not a",
    ),
    "a text for a plan": (lambda o, _: o.run("x", plan="look"), "plan: Input should be a valid dictionary"),
    "a plan without agents": (
        lambda o, _: o.run("x", plan=[{"id": "a", "description": "d"}]),
        "sub_tasks.0.target_agent (sub-task 'a'): Field required",
    ),
    "a plan for others": (
        lambda o, _: o.run("x", plan=[step("a", agent="cook")]),
        "unknown agent 'cook' (there are: ",
    ),
    "a run for a thread": (
        lambda o, run: o.resume(run),
        "the thread has to be a thread's id, such as run.thread_id, not",
    ),
    "an unknown thread": (lambda o, _: o.show("nobody"), "there is no thread 'nobody' in memory"),
    "a run for a review": (
        lambda o, run: o.decide(run, "approve"),
        "the review has to be a review or its id, as in run.r",
    ),
    "an unknown review": (lambda o, _: o.decide("t/plan-0", "approve"), "there is no review 't/plan-0'"),
    "an unknown action": (
        lambda o, run: o.decide(run.reviews[0], "accept"),
        "Decision: action should be 'approve', 'edit', 'reject', 'stop' or 'answer', not 'accept'",
    ),
    "a rejection without reason": (
        lambda o, run: o.decide(run.reviews[0], "reject"),
        "a rejection needs a text that says",
    ),
    "a raise by number": (
        lambda o, run: o.resume(run.thread_id, budget=5),
        "budget has to be a Budget, as in Budget(tok",
    ),
    "a raise of nothing": (
        lambda o, run: o.resume(run.thread_id, budget={"token": 5}),
        "this is no budget: token: Extra inputs are not permitted",
    ),
}


@pytest.mark.parametrize("mistake", ON_THREADS)
def test_a_mistake_on_a_thread_is_told_before_anything_is_asked_of_a_model(
    mistake: str, running: TaskOrchestrator
) -> None:
    act, text = ON_THREADS[mistake]
    run = running.run("go", thread_id="t0")
    asked = len(MODEL.requests)
    assert text in told(partial(act, running, run))
    assert len(MODEL.requests) == asked
    assert [record.id for record in running.threads()] == ["t0"]


def test_a_review_is_decided_by_itself_as_well_as_by_its_id(running: TaskOrchestrator) -> None:
    run = running.run("go")
    decision = running.decide(run.reviews[0], "approve")
    assert decision.review_id == run.reviews[0].id
    assert running.resume(run.thread_id).status == "done"


@pytest.mark.parametrize(
    "plan",
    [
        [step("a", agent="clerk")],
        ({**step("a", agent="clerk")},),
        [API.SubTask(id="a", description="do a", target_agent="clerk")],
        API.Plan(sub_tasks=[step("a", agent="clerk")]),
        {"sub_tasks": [step("a", agent="clerk")]},
    ],
    ids=["dicts", "a tuple", "sub-tasks", "a plan", "an object"],
)
def test_a_plan_is_given_as_a_plan_or_as_its_sub_tasks(plan: Any, running: TaskOrchestrator) -> None:
    run = running.run("go", plan=plan, auto_approve=True)
    assert run.status == "done"
    assert run.plan is not None
    assert [sub_task.id for sub_task in run.plan] == ["a"]


def test_a_database_is_named_by_a_path_too(tmp_path: Path) -> None:
    with TaskOrchestrator(workers=[worker()], model=MODEL, db=tmp_path / "runs.db") as opened:
        run = opened.run("go", budget=API.Budget(tokens=90_000))
    with API.OrchestratorClient(tmp_path / "runs.db") as client:
        assert client.show(run.thread_id).reviews == run.reviews


def test_a_supervisor_takes_its_prompt_by_the_name_of_every_agents() -> None:
    model = ScriptedModel(TeamScript([step("a", agent="clerk")]))
    boss = API.Supervisor(prompt="You plan with great care.", model=model)
    API.Team(boss, [worker()]).supervisor.decompose("go")
    assert "You plan with great care." in model.requests[0].text


def test_what_a_program_read_wrongly_is_still_an_error_of_pydantics() -> None:
    from pydantic import ValidationError

    with pytest.raises(ValidationError):
        API.Budget.model_validate({"token": 5})
    with pytest.raises(PlanError, match=re.escape("SubTask: 'id' is missing; 'target_agent' is missing")):
        API.SubTask(description="d")
