"""The interrupts of a graph or a function of the user's that works as a worker: they are questions to a human."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict

from orchestrator import (
    Decision,
    Limits,
    Policy,
    Review,
    Rule,
    SubTask,
    Supervisor,
    TaskOrchestrator,
    Team,
    Worker,
    compile_graph,
)
from orchestrator.testing import Gate, Reply, Request, ScriptedModel, TeamScript, say
from tests.agents.test_guests import PLAN, guest, message_graph, opened, stored, team, texts
from tests.support.teams import step

LOG: list[str] = []


class Asking(TypedDict, total=False):
    left: Any
    right: Any


def asking_graph(**options: Any) -> Any:
    def begin(state: Asking) -> Asking:
        LOG.append("begin")
        return {}

    def left(state: Asking) -> Asking:
        return {"left": interrupt("left?")}

    def right(state: Asking) -> Asking:
        return {"right": interrupt({"question": "right?"})}

    def end(state: Asking) -> Asking:
        LOG.append("end")
        return {}

    graph = StateGraph(Asking)
    for node in (begin, left, right, end):
        graph.add_node(node.__name__, node)
    graph.add_edge(START, "begin").add_edge("begin", "left").add_edge("begin", "right").add_edge(
        ["left", "right"], "end"
    )
    return graph.compile(**options)


def asking(**options: Any) -> Worker:
    LOG.clear()
    return guest(
        asking_graph(**options), input=lambda text: {"left": None}, output=lambda s: f"{s['left']} {s['right']}"
    )


@pytest.mark.parametrize(
    "options", [{}, {"checkpointer": InMemorySaver()}, {"checkpointer": False}], ids=["none", "its own", "false"]
)
def test_its_interrupts_are_questions_all_at_once_each_answered_alone_by_any_process(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    db = str(tmp_path / "x.db")
    worker = asking(**options)
    with opened(worker, db, PLAN[:1]) as orchestrator:
        run = orchestrator.run("t", thread_id="t", auto_approve=True)
        assert [(review.kind, review.question) for review in run.reviews] == [
            ("question", "left?"),
            ("question", "right?"),
        ]
        orchestrator.decide(run.reviews[1], "answer", data={"way": "up"})
    with opened(worker, db, PLAN[:1]) as orchestrator:
        run = orchestrator.resume("t")
        [review] = run.reviews
        assert review.question == "left?"
        orchestrator.decide(review, "answer", "down")
    with opened(worker, db, PLAN[:1]) as orchestrator:
        assert orchestrator.resume("t").status == "done"
        assert texts(orchestrator) == ["down {'way': 'up'}"]
        assert orchestrator.persistence.thread_ids() == ["t"]
    assert LOG == ["begin", "end"]


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_the_bare_graph_answers_them_one_after_the_other(way: str) -> None:
    worker = asking()
    store = InMemoryStore()
    policy = Policy.of(Rule(action="ask", tool="guest"))
    graph = compile_graph(team(worker, PLAN[:1], policy=policy), checkpointer=InMemorySaver(), store=store)
    config: RunnableConfig = {"configurable": {"thread_id": "t"}}

    def drive(value: Any) -> Any:
        return graph.invoke(value, config) if way == "invoke" else asyncio.run(graph.ainvoke(value, config))

    drive({"task": "t", "given_plan": {"sub_tasks": PLAN[:1]}})
    for answer in ({"action": "approve"}, "one", "two"):
        [open_review, *_] = graph.get_state(config).interrupts
        if isinstance(answer, dict):
            answer = {"review_id": open_review.value["id"], **answer}
        drive(Command(resume={open_review.id: answer}))
    assert stored(store) == ["one two"]
    assert LOG == ["begin", "end"]


def test_an_answer_given_while_other_branches_work_lets_the_graph_go_on_at_once() -> None:
    gate, plan = Gate(), [step("a", agent="guest"), step("b", agent="worker"), step("c", "a", agent="worker")]

    def script(request: Request) -> Reply:
        if "Sub-task c" in request.last_user:
            gate.release()  # so `b` ends only after the graph of `a` went on
        return gated(request)

    gated = TeamScript(plan, results={"b": say("result of b").behind(gate)})
    team = Team(Supervisor(), [asking(), Worker("worker", "You work.")], model=ScriptedModel(script))
    orchestrator = TaskOrchestrator(team=team, db="memory://")

    def on_review(review: Review) -> Decision:
        return Decision(review_id=review.id, action="answer", text=review.question)

    run = orchestrator.run("t", auto_approve=True, on_review=on_review)
    assert (run.status, LOG) == ("done", ["begin", "end"])
    assert "left? right?" in texts(orchestrator)


@pytest.mark.parametrize(("action", "status"), [("reject", None), ("stop", "stopped")])
def test_a_question_can_be_refused_or_stop_the_run(action: Any, status: str | None) -> None:
    orchestrator = opened(asking(), plan=PLAN[:1], limits=Limits(attempts=1, revisions=0))
    run = orchestrator.run("t", thread_id="t", auto_approve=True)
    orchestrator.decide(run.reviews[0], action, "ask nobody")
    run = orchestrator.resume("t")
    assert "ask nobody" in run.outcomes["a"].error if status is None else run.status == status


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("effect", ["none", "once"])
def test_a_function_asks_by_interrupt_too(effect: str, is_async: bool) -> None:
    def ask(text: str) -> str:
        return f"{interrupt('first?')} {interrupt('second?')}"

    async def ask_later(text: str) -> str:
        return ask(text)

    orchestrator = opened(guest(ask_later if is_async else ask, effect=effect), plan=PLAN[:1])
    run = orchestrator.run("t", thread_id="t", auto_approve=True)
    for question, answer in (("first?", "one"), ("second?", "two")):
        [review] = run.reviews
        assert review.question == question
        orchestrator.decide(review, "answer", answer)
        run = orchestrator.resume("t")
    assert run.status == "done"
    assert texts(orchestrator) == ["one two"]


@pytest.mark.parametrize("where", ["interrupt_before", "interrupt_after"])
def test_its_own_breakpoints_are_questions(where: str) -> None:
    node = "end" if where == "interrupt_before" else "begin"

    def graph() -> Any:
        graph = StateGraph(MessagesState)
        graph.add_node("begin", lambda s: {"messages": [AIMessage("begun")]})
        graph.add_node("end", lambda s: {"messages": [AIMessage("ended")]})
        graph.add_edge(START, "begin").add_edge("begin", "end")
        return graph.compile(**{where: [node]})

    orchestrator = opened(guest(graph()), plan=PLAN[:1])
    run = orchestrator.run("t", thread_id="t", auto_approve=True)
    assert [review.question for review in run.reviews] == ["'guest' stops before end. Shall it go on?"]
    assert [review.id for review in orchestrator.resume("t").reviews] == [run.reviews[0].id]
    orchestrator.decide(run.reviews[0], "answer", "yes")
    assert orchestrator.resume("t").status == "done"
    assert texts(orchestrator) == ["ended"]


# -- alone, and wrong use -------------------------------------------------------------------------------------------


def test_it_works_by_itself_where_nobody_can_be_asked() -> None:
    sub_task = SubTask(id="a", description="do a", target_agent="guest")
    result = guest(message_graph()).execute(sub_task)
    assert (result.text, result.sources, bool(result.tainted_by)) == ("SUB-TASK A: DO A", ("guest",), True)
    with pytest.raises(Exception, match="nobody here to ask"):
        asking().execute(sub_task)
    with pytest.raises(Exception, match="nobody here to ask"):
        guest(lambda text: interrupt("why?")).execute(sub_task)
