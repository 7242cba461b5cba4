"""`Worker.of(thing)`: a graph, an agent, a runnable or a function of the user's as a worker of the team."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.runtime import get_runtime
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command
from pydantic import BaseModel
from typing_extensions import TypedDict

from orchestrator import (
    Budget,
    ConfigError,
    Entry,
    Limits,
    Policy,
    Rule,
    Run,
    SubTask,
    Supervisor,
    TaskOrchestrator,
    Team,
    Worker,
    compile_graph,
    reviewer,
)
from orchestrator.testing import ScriptedModel, TeamScript, say
from tests.support.guests import guest, last_line, last_line_later, message_graph
from tests.support.teams import step
from tests.support.traces import Traces

PLAN = [step("a", agent="guest"), step("b", "a", agent="guest")]


def team(worker: Worker, plan: Any = PLAN, **options: Any) -> Team:
    return Team(Supervisor(), [worker, reviewer()], model=ScriptedModel(TeamScript(plan)), **options)


def opened(worker: Worker, db: str = "memory://", plan: Any = PLAN, **options: Any) -> TaskOrchestrator:
    return TaskOrchestrator(team=team(worker, plan, **options), db=db)


def texts(orchestrator: TaskOrchestrator) -> list[str]:
    return [entry.text for entry in orchestrator.memory.all()]


# -- forms ----------------------------------------------------------------------------------------------------------


def of_both(sub_task: SubTask, context: tuple[Entry, ...]) -> str:
    return f"Sub-task {sub_task.id}: {sub_task.description}".upper()


async def of_both_later(sub_task: SubTask, context: tuple[Entry, ...], config: RunnableConfig) -> str:
    assert config["metadata"]["sub_task_id"] == sub_task.id
    return of_both(sub_task, context)


class Caller:
    async def __call__(self, text: str) -> str:
        return last_line(text)


@entrypoint()
def functional(text: str) -> str:
    return last_line(text)


def agent() -> Any:
    return create_agent(ScriptedModel(lambda request: say(last_line(request.last_user))), [])


THINGS: dict[str, Any] = {
    "function": last_line,
    "coroutine": last_line_later,
    "two values": of_both,
    "two values later": of_both_later,
    "object": Caller(),
    "runnable": RunnableLambda(last_line) | RunnableLambda(lambda text: text),
    "graph": message_graph(),
    "functional": functional,
    "agent": agent(),
}


def by_run(worker: Worker) -> list[str]:
    orchestrator = opened(worker)
    assert orchestrator.run("t", auto_approve=True).status == "done"
    return texts(orchestrator)


def by_arun(worker: Worker) -> list[str]:
    orchestrator = opened(worker)
    assert asyncio.run(orchestrator.arun("t", auto_approve=True)).status == "done"
    return texts(orchestrator)


def stored(store: InMemoryStore) -> list[str]:
    found = store.search((), limit=100)
    results = [item.value for item in found if item.value.get("status", "final") == "final"]
    return [value["text"] for value in results if value.get("sub_task_id")]


def by_invoke(worker: Worker) -> list[str]:
    store = InMemoryStore()
    graph = compile_graph(team(worker), checkpointer=InMemorySaver(), store=store)
    config: RunnableConfig = {"configurable": {"thread_id": "t"}}
    assert graph.invoke({"task": "t", "auto_approve": True}, config)["status"] == "done"
    return stored(store)


def by_ainvoke(worker: Worker) -> list[str]:
    store = InMemoryStore()
    graph = compile_graph(team(worker), store=store)
    assert asyncio.run(graph.ainvoke({"task": "t", "auto_approve": True}))["status"] == "done"
    return stored(store)


@pytest.mark.parametrize("way", [by_run, by_arun, by_invoke, by_ainvoke])
@pytest.mark.parametrize("thing", THINGS.values(), ids=THINGS.keys())
def test_a_thing_of_the_users_does_the_work_of_a_worker(thing: Any, way: Callable[[Worker], list[str]]) -> None:
    assert sorted(way(guest(thing))) == ["SUB-TASK A: DO A", "SUB-TASK B: DO B"]


class Weather(BaseModel):
    city: str
    degrees: int


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ({"city": "Oslo", "degrees": 3}, '{\n "city": "Oslo",\n "degrees": 3\n}'),
        (Weather(city="Oslo", degrees=3), '{\n "city": "Oslo",\n "degrees": 3\n}'),
        ([Weather(city="Oslo", degrees=3)], '[\n {\n  "city": "Oslo",\n  "degrees": 3\n }\n]'),
        (
            {"structured_response": Weather(city="Oslo", degrees=3), "messages": []},
            '{\n "city": "Oslo",\n "degrees": 3\n}',
        ),
        ({"answer": "three degrees"}, "three degrees"),
        ([HumanMessage("how?"), AIMessage([{"type": "text", "text": "three"}])], "three"),
        (7, "7"),
        ("half \ud83d", "half \ufffd"),
        ("the key is sk-abcdefghijkl", "the key is ***"),
    ],
)
def test_its_answer_may_have_any_form(output: Any, text: str) -> None:
    orchestrator = opened(guest(lambda task: output), plan=PLAN[:1])
    orchestrator.run("t", auto_approve=True)
    assert texts(orchestrator) == [text]


def test_input_and_output_are_mapped_where_a_graph_has_a_state_of_its_own() -> None:
    class State(TypedDict, total=False):
        topic: str
        found: int

    graph = StateGraph(State).add_node("n", lambda s: {"found": len(s["topic"])}).add_edge(START, "n").compile()
    with pytest.raises(ConfigError, match="has no messages, only found, topic: say what goes in"):
        guest(graph)
    worker = guest(
        graph, input=lambda sub_task, context: {"topic": sub_task.id}, output=lambda s: f"{s['found']} found"
    )
    orchestrator = opened(worker, plan=PLAN[:1])
    orchestrator.run("t", auto_approve=True)
    assert texts(orchestrator) == ["1 found"]


def test_it_gets_the_task_and_the_results_that_it_depends_on_and_the_context_of_the_run() -> None:
    seen: list[Any] = []

    def note(sub_task: SubTask, context: tuple[Entry, ...]) -> str:
        seen.append((sub_task.id, [entry.text for entry in context], get_runtime().context))
        return f"result of {sub_task.id}"

    opened(guest(note)).run("t", auto_approve=True, context="acme")
    assert seen == [("a", [], "acme"), ("b", ["result of a"], "acme")]
    prompts: list[str] = []
    opened(guest(lambda text: prompts.append(text) or f"result {len(prompts)}")).run("the task", auto_approve=True)
    assert "the task" in prompts[0]
    assert "result 1" in prompts[1]


# -- trust, permission, failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("options", "trusted"), [({}, False), ({"trust": "trusted"}, True)])
def test_its_result_is_untrusted_unless_declared(options: dict[str, Any], trusted: bool) -> None:
    orchestrator = opened(guest(last_line, **options), plan=PLAN[:1])
    orchestrator.run("t", auto_approve=True)
    assert [entry.trusted for entry in orchestrator.memory.all()] == [trusted]


@pytest.mark.parametrize(("action", "status"), [("approve", "done"), ("reject", None), ("stop", "stopped")])
def test_a_human_is_asked_before_it_runs_where_it_declares_no_risk(action: Any, status: str | None) -> None:
    called: list[str] = []
    worker = Worker.of(lambda text: called.append(text) or "done", name="guest", description="does things")
    orchestrator = opened(worker, limits=Limits(attempts=1, revisions=0))
    run = orchestrator.run("t", plan=PLAN[:1], thread_id="t")
    assert (run.reviews[0].kind, run.reviews[0].subject["tool"], called) == ("tool", "guest", [])
    orchestrator.decide(run.reviews[0], action, "because")
    run = orchestrator.resume("t")
    if status is None:
        assert "because" in run.outcomes["a"].error
    else:
        assert run.status == status
    assert len(called) == (action == "approve")


def test_a_policy_rules_on_it_by_its_name_and_an_edit_changes_what_it_is_told() -> None:
    called: list[str] = []
    policy = Policy.of(Rule(action="ask", tool="guest"))
    orchestrator = opened(guest(lambda text: called.append(text) or "done"), policy=policy)
    run = orchestrator.run("t", plan=PLAN[:1], thread_id="t")
    orchestrator.decide(run.reviews[0], "edit", data={"task": "do something else"})
    assert orchestrator.resume("t").status == "done"
    assert called == ["do something else"]


class Wanted(BaseException):
    """An exception that nobody expects."""


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("way", ["run", "arun"])
@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, asyncio.CancelledError, Wanted])
def test_whatever_a_function_raises_is_a_failure_in_its_own_words(
    error: type[BaseException], way: str, is_async: bool
) -> None:
    def fail(text: str) -> str:
        raise error("the disk is full")

    async def fail_later(text: str) -> str:
        raise error("the disk is full")

    worker = guest(fail_later if is_async else fail)
    orchestrator = opened(worker, plan=PLAN[:1], limits=Limits(attempts=1, revisions=0))
    run = drive(orchestrator, way)
    assert run.outcomes["a"].status == "failed"
    assert "the disk is full" in run.outcomes["a"].error


def drive(orchestrator: TaskOrchestrator, way: str) -> Run:
    if way == "run":
        return orchestrator.run("t", auto_approve=True)
    return asyncio.run(orchestrator.arun("t", auto_approve=True))


@pytest.mark.parametrize("is_bare", [False, True], ids=["run", "invoke"])
@pytest.mark.parametrize("error", [SystemExit, asyncio.CancelledError])
def test_what_a_node_of_a_graph_raises_is_a_failure_in_its_own_words(error: type[BaseException], is_bare: bool) -> None:
    def fail(state: MessagesState) -> Any:
        raise error("the disk is full")

    graph = StateGraph(MessagesState).add_node("n", fail).add_edge(START, "n").compile()
    orchestrator = opened(guest(graph), plan=PLAN[:1], limits=Limits(attempts=1, revisions=0))
    if is_bare:
        state = orchestrator.graph.invoke({"task": "t", "auto_approve": True}, {"configurable": {"thread_id": "t"}})
        told = state["results"]["a"]["error"]
    else:
        told = orchestrator.run("t", auto_approve=True).outcomes["a"].error
    assert "the disk is full" in told
    assert "'guest' ended with" in told
    assert opened(guest(last_line)).run("t", auto_approve=True).status == "done"


@pytest.mark.parametrize("is_nested", [False, True], ids=["graph", "graph in a graph"])
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, Wanted])
def test_what_an_asynchronous_node_raises_leaves_the_callers_loop_running(
    error: type[BaseException], is_nested: bool
) -> None:
    async def fail(state: MessagesState) -> Any:
        await asyncio.sleep(0)
        raise error("the disk is full")

    async def gather(state: MessagesState) -> Any:
        return (await asyncio.gather(fail(state)))[0]

    graph: Any = StateGraph(MessagesState).add_node("n", gather).add_edge(START, "n").compile()
    if is_nested:
        graph = StateGraph(MessagesState).add_node("inner", graph).add_edge(START, "inner").compile()

    async def program() -> Run:
        orchestrator = opened(guest(graph), plan=PLAN[:1], limits=Limits(attempts=1, revisions=0))
        return await orchestrator.arun("t", auto_approve=True)

    outcome = asyncio.run(program()).outcomes["a"]
    assert (outcome.status, outcome.error.count("the disk is full") > 0) == ("failed", True)
    assert "'guest' ended with" in outcome.error


@pytest.mark.parametrize("way", ["run", "arun"])
def test_it_is_given_up_at_its_time_limit(way: str) -> None:
    worker = guest(lambda text: time.sleep(30), time_limit_s=0.2)
    run = drive(opened(worker, plan=PLAN[:1], limits=Limits(attempts=1, revisions=0)), way)
    assert "did not finish within 0.2 s and was given up" in run.outcomes["a"].error


def test_a_jump_to_a_graph_around_it_is_not_possible() -> None:
    def jump(state: MessagesState) -> Any:
        return Command(goto="elsewhere", graph=Command.PARENT)

    graph = StateGraph(MessagesState).add_node("n", jump).add_edge(START, "n").compile()
    orchestrator = opened(guest(graph), plan=PLAN[:1], limits=Limits(attempts=1, revisions=0))
    assert "a jump to another graph" in orchestrator.run("t", auto_approve=True).outcomes["a"].error


def test_a_further_attempt_begins_anew() -> None:
    seen: list[str] = []

    def answer(state: MessagesState) -> Any:
        seen.append(str(state["messages"][-1].content))
        return {"messages": [AIMessage(f"try {len(seen)} after {len(state['messages'])} messages")]}

    graph = StateGraph(MessagesState).add_node("n", answer).add_edge(START, "n").compile()
    plan = [step("a", agent="guest"), step("r", "a", agent="reviewer")]
    verdicts = {
        "r": [
            {"reason": "shorter", "verdict": "changes_requested", "sub_task_id": "a"},
            {"reason": "fine", "verdict": "accept", "sub_task_id": ""},
        ]
    }
    model = ScriptedModel(TeamScript(plan, verdicts=verdicts))
    with TaskOrchestrator(Supervisor(), [guest(graph), reviewer()], db="memory://", model=model) as orchestrator:
        assert orchestrator.run("t", auto_approve=True).status == "done"
        assert "try 2 after 1 messages" in texts(orchestrator)
    assert "shorter" in seen[1]


# -- budget and traces ----------------------------------------------------------------------------------------------


def test_its_models_are_counted_and_none_is_called_once_the_budget_is_spent() -> None:
    run = opened(guest(agent())).run("t", auto_approve=True)
    assert run.outcomes["a"].usage["model_calls"] == 1
    assert run.outcomes["a"].usage["input_tokens"] > 0
    assert run.spending.total.model_calls == 4  # with the plan and the answer

    def ask_often(text: str) -> str:
        model = ScriptedModel(lambda request: say("yes"))
        return " ".join(model.invoke(text).text for _ in range(50))

    run = opened(guest(ask_often), plan=PLAN[:1]).run("t", auto_approve=True, budget=Budget(model_calls=10))
    assert (run.status, run.limited_by) == ("limited", "budget")
    assert run.spending.total.model_calls <= 10


def test_traces_show_its_calls_under_the_worker() -> None:
    traces = Traces()
    opened(guest(agent())).run("t", auto_approve=True, config={"callbacks": [traces.handler()], "run_name": "r"})
    assert traces.paths("model").count("/r/guest/guest/model/model") == 2
