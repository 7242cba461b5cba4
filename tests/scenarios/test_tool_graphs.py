"""A tool runs a graph that calls `interrupt()`: its question is a review, and the graph goes on from where it was."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import HumanMessage
from langchain_core.tools import BaseTool, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command, interrupt

from orchestrator import SubTask, Supervisor, TaskOrchestrator, Team, Worker, compile_graph, declare
from orchestrator.testing import Reply, ScriptedModel, TeamScript, call
from tests.support.asking_graphs import (
    Trip,
    branching_graph,
    looping_graph,
    nested_graph,
    sending_graph,
    shown,
    told_by,
    trip_graph,
)
from tests.support.teams import step

# LangGraph warns of a durability for a graph without a checkpointer, which it fails without.
pytestmark = pytest.mark.filterwarnings("ignore:`durability` has no effect:UserWarning")

PLAN = [step("a", agent="clerk"), step("b", "a", agent="clerk")]


CALLS = {"a": [call("plan_trip", about="Chile"), "it is done"]}


def team(*tools: BaseTool, results: Any = CALLS, plan: Any = PLAN) -> tuple[Team, ScriptedModel]:
    model = ScriptedModel(TeamScript(plan, results=results))
    return Team(Supervisor(), [Worker("clerk", "You ask.", tools=list(tools))], model=model), model


def opened(tmp_path: Path, *tools: BaseTool, **options: Any) -> tuple[TaskOrchestrator, ScriptedModel]:
    made, model = team(*tools, **options)
    return TaskOrchestrator(team=made, db=str(tmp_path / "x.db")), model


def told(model: ScriptedModel) -> list[str]:
    """The tools' answers, as the model saw them."""
    texts = [text for request in model.requests for role, text in request.messages if role == "tool"]
    return list(dict.fromkeys(texts))


def answer_all(orchestrator: TaskOrchestrator, answers: dict[str, Any], thread_id: str = "t") -> Any:
    """Answer the open reviews by their questions until none is open. Return the run."""
    asked = []
    while reviews := orchestrator.reviews(thread_id):
        for review in reviews:
            assert review.kind == "question"
            answer = answers[review.question]
            asked.append(review.question)
            text, data = (answer, None) if isinstance(answer, str) else ("", answer)
            orchestrator.decide(review.id, "answer", text, data)
        run = orchestrator.resume(thread_id)
    assert sorted(asked) == sorted(answers)  # each once
    return run


SAVERS: dict[str, dict[str, Any]] = {
    "none": {},
    "its own": {"checkpointer": InMemorySaver()},
    "per thread": {"checkpointer": True},
    "false": {"checkpointer": False},
}


@pytest.mark.parametrize("is_async", [False, True], ids=["invoke", "ainvoke"])
@pytest.mark.parametrize("saver", SAVERS)
@pytest.mark.parametrize("questions", [("Where?",), ("Where?", "When?", "Why?")], ids=["one", "three"])
def test_its_questions_are_reviews_answered_by_text_or_data(
    tmp_path: Path, saver: str, questions: tuple[str, ...], is_async: bool
) -> None:
    log: list[str] = []
    graph = trip_graph(log, *questions, **SAVERS[saver])
    orchestrator, model = opened(tmp_path, told_by(graph, is_async=is_async))
    run = orchestrator.run("t", auto_approve=True, thread_id="t")
    assert run.status == "waiting"
    [review] = orchestrator.reviews()
    assert (review.question, review.allowed, review.sub_task_id) == ("Where?", ("answer", "reject", "stop"), "a")
    answers = {"Where?": "Lima", "When?": {"month": 5}, "Why?": [1]}
    run = answer_all(orchestrator, {question: answers[question] for question in questions})
    assert run.status == "done"
    assert told(model) == [f"told {', '.join(repr(answers[question]) for question in questions)}"]
    assert log.count("pay") == 1
    if saver != "false":  # which LangGraph runs from its start
        assert log == ["book", "pay"]


def test_a_graph_without_checkpoints_that_langgraph_cannot_run_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    graph = trip_graph([], "Where?", checkpointer=False)

    @tool
    def plan_trip(about: str) -> str:
        """Plans a trip."""
        return str(graph.invoke({}))

    orchestrator, model = opened(tmp_path, declare(plan_trip, risk="read"))
    assert orchestrator.run("t", auto_approve=True).status == "done"
    assert 'invoke it with durability="async"' in told(model)[0]


# -- several at once, loops, graphs in graphs ------------------------------------------------------------------------


@pytest.mark.parametrize("saver", ["none", "false"])
def test_questions_of_parallel_branches_are_open_at_once(tmp_path: Path, saver: str) -> None:
    graph = branching_graph(**SAVERS[saver])
    orchestrator, model = opened(tmp_path, shown(lambda: graph, durability="async" if saver == "false" else "sync"))
    orchestrator.run("t", auto_approve=True, thread_id="t")
    by_question = {review.question: review for review in orchestrator.reviews()}
    assert sorted(by_question) == ["Left?", "Right?"]
    right = by_question["Right?"]
    orchestrator.decide(right.id, "answer", "R")
    assert orchestrator.resume("t").status == "waiting"
    [left] = orchestrator.reviews()
    orchestrator.decide(left.id, "answer", "L")
    assert orchestrator.resume("t").status == "done"
    assert told(model) == ["[('left', 'L'), ('right', 'R')]"]


@pytest.mark.parametrize("saver", ["none", "false"])
def test_each_of_one_nodes_parallel_calls_gets_its_own_answers(tmp_path: Path, saver: str) -> None:
    graph = sending_graph(**SAVERS[saver])
    orchestrator, model = opened(tmp_path, shown(lambda: graph, durability="async" if saver == "false" else "sync"))
    orchestrator.run("t", auto_approve=True, thread_id="t")
    answer_all(orchestrator, {"A one?": "x", "B one?": "x", "A two?": "a", "B two?": "b"})
    [answer] = told(model)
    assert "A a" in answer
    assert "B b" in answer


@pytest.mark.parametrize("saver", ["none", "false"])
def test_a_loop_asks_once_in_each_turn(tmp_path: Path, saver: str) -> None:
    tool_ = told_by(looping_graph(**SAVERS[saver]))
    orchestrator, model = opened(tmp_path, tool_)
    orchestrator.run("t", auto_approve=True, thread_id="t")
    run = answer_all(orchestrator, {"City 0?": "a", "City 1?": "b", "City 2?": "c"})
    assert (run.status, told(model)) == ("done", ["told a, b, c"])


@pytest.mark.parametrize("saver", ["none", "false"])
def test_a_graph_in_a_graph_asks_and_the_same_graph_called_twice_too(tmp_path: Path, saver: str) -> None:
    graph = nested_graph(looping_graph(**SAVERS[saver]))
    orchestrator, model = opened(tmp_path, shown(lambda: graph, durability="async"))
    orchestrator.run("t", auto_approve=True, thread_id="t")
    for answer in "abcd":
        [review] = orchestrator.reviews()
        orchestrator.decide(review.id, "answer", answer)
        run = orchestrator.resume("t")
    assert run.status == "done"
    assert told(model) == ["[('told', ['a', 'b', 'c', 'a', 'b', 'd'])]"]


@pytest.mark.parametrize("is_async", [False, True], ids=["invoke", "ainvoke"])
def test_two_tools_of_one_step_ask_both_at_once(tmp_path: Path, is_async: bool) -> None:
    graph = looping_graph()
    calls = [call("plan_trip", about="A"), call("plan_trip", about="B")]
    both = Reply(calls=tuple(each.calls[0] for each in calls))
    orchestrator, model = opened(tmp_path, told_by(graph, is_async=is_async), results={"a": [both, "it is done"]})
    orchestrator.run("t", auto_approve=True, thread_id="t")
    answers = {"A": iter("uvw"), "B": iter("xyz")}
    turns = 0
    while reviews := orchestrator.reviews("t"):
        assert len(reviews) == 2
        for review in reviews:
            orchestrator.decide(review.id, "answer", next(answers[review.subject["args"]["about"]]))
        run = orchestrator.resume("t")
        turns += 1
    assert (run.status, turns) == ("done", 3)
    assert sorted(told(model)) == ["told u, v, w", "told x, y, z"]


def test_questions_of_the_tool_itself_and_of_its_graphs_keep_their_order(tmp_path: Path) -> None:
    log: list[str] = []
    first, second = trip_graph([], "Graph one?"), trip_graph(log, "Graph two?")

    @tool
    def plan_trip(about: str) -> str:
        """Plans a trip."""
        parts = [interrupt("Before?"), *first.invoke({})["told"], interrupt("Between?"), *second.invoke({})["told"]]
        return f"told {', '.join(parts)}, {interrupt('After?')}"

    orchestrator, model = opened(tmp_path, declare(plan_trip, risk="read"))
    config: Any = {"configurable": {"thread_id": "t"}}

    async def drive() -> dict[str, Any]:
        state = await orchestrator.graph.ainvoke({"task": "t", "auto_approve": True}, config)
        for answer in ("0", "1", "2", "3", "4"):
            assert len(state["__interrupt__"]) == 1
            state = await orchestrator.graph.ainvoke(Command(resume=answer), config)
        return state

    assert asyncio.run(drive())["status"] == "done"
    assert told(model) == ["told 0, '1', 2, '3', 4"]
    assert log == ["book", "pay"]


# -- the bare graph --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [False, True], ids=["invoke", "ainvoke"])
@pytest.mark.parametrize("saver", ["none", "false"])
def test_the_bare_graph_takes_bare_answers(saver: str, is_async: bool) -> None:
    log: list[str] = []
    made, model = team(told_by(trip_graph(log, "Where?", "When?", **SAVERS[saver]), is_async=is_async))
    graph = compile_graph(made, checkpointer=InMemorySaver(), store=InMemoryStore())
    config: Any = {"configurable": {"thread_id": "t"}}

    async def ainvoke(value: Any) -> Any:
        return await graph.ainvoke(value, config)

    def invoke(value: Any) -> Any:
        return asyncio.run(ainvoke(value)) if is_async else graph.invoke(value, config)

    state = invoke({"task": "t", "auto_approve": True})
    assert [interrupt.value["question"] for interrupt in state["__interrupt__"]] == ["Where?"]
    state = invoke(Command(resume="Lima"))
    [asked] = state["__interrupt__"]
    assert asked.value["question"] == "When?"
    state = invoke(Command(resume={asked.id: "May"}))
    assert (state["status"], told(model)) == ("done", ["told 'Lima', 'May'"])
    assert log.count("pay") == 1


# -- what cannot be honoured, and what a human refuses ---------------------------------------------------------------


def test_a_breakpoint_is_an_error_for_the_worker(tmp_path: Path) -> None:
    orchestrator, model = opened(tmp_path, told_by(trip_graph([], "Where?", interrupt_before=["ask"])))
    assert orchestrator.run("t", auto_approve=True).status == "done"
    assert "pauses without a question" in told(model)[0]


def test_a_jump_to_the_graph_around_it_is_an_error_for_the_worker(tmp_path: Path) -> None:
    def jump(state: Trip) -> Any:
        return Command(graph=Command.PARENT, goto="elsewhere")

    graph = StateGraph(Trip).add_node(jump).add_edge(START, "jump").compile()
    orchestrator, model = opened(tmp_path, told_by(graph))
    assert orchestrator.run("t", auto_approve=True).status == "done"
    assert "asks for a jump" in told(model)[0]


def test_a_refusal_reaches_the_worker_and_stop_ends_the_run(tmp_path: Path) -> None:
    log: list[str] = []
    orchestrator, model = opened(tmp_path, told_by(trip_graph(log, "Where?")))
    orchestrator.run("t", auto_approve=True, thread_id="t")
    orchestrator.decide(orchestrator.reviews()[0].id, "reject", "ask nobody")
    assert orchestrator.resume("t").status == "done"
    assert "ask nobody" in told(model)[0]
    orchestrator.run("t", auto_approve=True, thread_id="u")
    orchestrator.decide(orchestrator.reviews()[0].id, "stop")
    assert orchestrator.resume("u").status == "stopped"
    assert log == ["book", "book"]


def test_an_agent_in_a_tool_asks_for_its_own_tools_once(tmp_path: Path) -> None:
    log: list[str] = []

    @tool
    def book(city: str) -> str:
        """Books a trip."""
        log.append(city)
        return f"booked {city}"

    inner = create_agent(
        ScriptedModel([call("book", city="Lima"), "Lima is booked."]),
        [book],
        middleware=[HumanInTheLoopMiddleware(interrupt_on={"book": True})],
    )

    @tool
    async def travel_agent(about: str) -> str:
        """Asks the travel agent."""
        return str((await inner.ainvoke({"messages": [HumanMessage(about)]}))["messages"][-1].text)

    results = {"a": [call("travel_agent", about="Peru"), "it is done"]}
    orchestrator, model = opened(tmp_path, declare(travel_agent, risk="read"), results=results)
    orchestrator.run("t", auto_approve=True, thread_id="t")
    [review] = orchestrator.reviews()
    assert review.subject["asked"]["action_requests"][0]["args"] == {"city": "Lima"}
    orchestrator.decide(review.id, "answer", data={"decisions": [{"type": "approve"}]})
    assert orchestrator.resume("t").status == "done"
    assert (log, told(model)) == (["Lima"], ["Lima is booked."])


def test_a_worker_by_itself_has_nobody_to_ask(tmp_path: Path) -> None:
    orchestrator, model = opened(tmp_path, told_by(trip_graph([], "Where?")))
    worker = next(iter(orchestrator.workers.values()))
    worker.execute(SubTask(id="a", description="do a", target_agent="clerk"))
    assert "nobody" in told(model)[0]


def test_a_function_as_a_worker_asks_by_a_graph_too(tmp_path: Path) -> None:
    log: list[str] = []
    graph = trip_graph(log, "Where?", "When?")

    def plan(task: str) -> str:
        return ", ".join(graph.invoke({})["told"])

    worker = Worker.of(plan, name="clerk", description="plans", risk="read")
    made = Team(Supervisor(), [worker], model=ScriptedModel(TeamScript(PLAN[:1])))
    with TaskOrchestrator(team=made, db=str(tmp_path / "x.db")) as orchestrator:
        orchestrator.run("t", auto_approve=True, thread_id="t")
        assert answer_all(orchestrator, {"Where?": "Lima", "When?": "May"}).status == "done"
        assert [entry.text for entry in orchestrator.memory.all()] == ["'Lima', 'May'"]
    assert log == ["book", "pay"]
