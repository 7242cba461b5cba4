"""Answers by LangGraph's `Command(resume=…)`: one that names no review opens the review that was open, and no other."""

import asyncio
import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.types import INTERRUPT, RESUME
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict

from orchestrator import Budget, Persistence, Team, compile_graph, declare
from orchestrator.concurrency import BLOCKING, Bridge, run_blocking
from orchestrator.graph.nodes.bridged_node import BridgedNode
from orchestrator.reviews.decisions import ask, record_decision
from orchestrator.reviews.questions import CallInQuestion, tool_review
from orchestrator.reviews.review import Decision, Review
from orchestrator.testing import TeamScript, call, fail, say
from orchestrator.tool_calls.ask_human import ask_human
from tests.support.teams import make_team, statuses, step, worked, writer

THREAD: Any = {"configurable": {"thread_id": "t"}}
NO_TASK = "00000000-0000-0000-0000-000000000000"
APPROVE = {"decisions": [{"type": "approve"}]}
ASK = {"reason": "no idea", "decision": "ask_human", "changes": []}


class Client:
    """A program that drives the compiled graph of a team, by `invoke` or by `ainvoke`, with a saver of its kind."""

    def __init__(self, kind: str, path: Path) -> None:
        self.kind = kind
        self.path = path
        self.memory, self.store = InMemorySaver(), InMemoryStore()
        self.connection = sqlite3.connect(path, check_same_thread=False)
        self.team: Team

    def send(self, value: Any, **options: Any) -> dict[str, Any]:
        """Invoke the graph and return its output."""
        if self.kind == "ainvoke, SQLite":

            async def drive() -> dict[str, Any]:
                async with AsyncSqliteSaver.from_conn_string(str(self.path)) as saver:
                    graph = compile_graph(self.team, checkpointer=saver)
                    return dict(await graph.ainvoke(value, THREAD, **options))

            return asyncio.run(drive())
        if self.kind == "invoke, SQLite":
            graph = compile_graph(self.team, checkpointer=SqliteSaver(self.connection))
            return dict(graph.invoke(value, THREAD, **options))
        graph = compile_graph(self.team, checkpointer=self.memory, store=self.store)
        if self.kind == "invoke":
            return dict(graph.invoke(value, THREAD, **options))
        return dict(asyncio.run(graph.ainvoke(value, THREAD, **options)))

    def answer(self, value: Any, **options: Any) -> dict[str, Any]:
        return self.send(Command(resume=value), **options)


@pytest.fixture(params=["invoke", "ainvoke", "invoke, SQLite", "ainvoke, SQLite"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Client]:
    client = Client(request.param, tmp_path / "x.db")
    yield client
    client.connection.close()


def by_sub_task(output: dict[str, Any]) -> dict[str, Any]:
    return {interrupt.value["sub_task_id"]: interrupt for interrupt in output["__interrupt__"]}


@pytest.mark.parametrize(
    "form",
    [
        lambda id: "approve",
        lambda id: {"action": "approve"},
        lambda id: {"review_id": id, "action": "approve"},
        lambda id: {id: "approve"},
        lambda id: json.dumps({"review_id": id, "action": "approve"}),
        lambda id: APPROVE,
        lambda id: [{"type": "accept", "args": None}],
        lambda id: Decision(review_id=id, action="approve"),
    ],
    ids=["word", "action", "decision", "map", "json", "langchain", "inbox", "object"],
)
def test_the_first_stop_is_answered_there_and_then(client: Client, form: Any) -> None:
    client.team = make_team(TeamScript([step("a")]))
    output = client.send({"task": "go"})
    (review,) = output["reviews"]
    output = client.answer(form(review["id"]))
    assert (output["status"], statuses(output["results"])) == ("done", {"a": "succeeded"})


def test_the_first_stop_is_edited_rejected_and_stopped_in_the_forms_of_others(client: Client) -> None:
    client.team = make_team(TeamScript([[step("a")], [step("b")], [step("c")]]))
    first = client.send({"task": "go"})["reviews"][0]
    name = first["action_requests"][0]["name"]
    output = client.answer({"decisions": [{"type": "reject", "message": "smaller steps"}]})
    assert output["reviews"][0]["subject"]["plan"][0]["id"] == "b"
    assert "smaller steps" in client.team.supervisor.model.requests[-1].last_user  # type: ignore[union-attr]
    output = client.answer([{"type": "response", "args": "still smaller"}])
    assert output["reviews"][0]["subject"]["plan"][0]["id"] == "c"
    edited = {"name": name, "args": {"plan": json.dumps([step("x")])}}
    output = client.answer({"decisions": [{"type": "edit", "edited_action": edited}]})
    assert (output["status"], statuses(output["results"])) == ("done", {"x": "succeeded"})
    output = client.send({"task": "another"})
    assert client.answer("stop")["status"] == "stopped"


def test_continuing_at_the_first_stop_asks_and_a_word_then_answers(client: Client) -> None:
    client.team = make_team(TeamScript([step("a")]))
    client.send({"task": "go"})
    for value in (None, Command(resume="perhaps"), Command(resume={"decisions": []}), None):
        output = client.send(value)
        assert (output["status"], len(output["__interrupt__"])) == ("waiting", 1)
        assert worked(client.team.supervisor.model) == []
    assert "problem" in client.answer("perhaps")["__interrupt__"][0].value
    assert client.answer("approve")["status"] == "done"


def test_a_whole_run_is_driven_by_answers_of_langchain_alone(client: Client) -> None:
    effects: list[str] = []
    plan = [step("a", agent="tooled"), step("b", "a", approval=True), step("c", "b", agent="tooled"), step("d", "c")]
    results: Any = {
        "a": [call("write", text="draft"), say("written")],
        "c": [call("ask_human", question="Which city?"), say("it is Lima")],
        "d": fail(RuntimeError("broken")),
    }
    script = TeamScript(plan, results=results, revisions=[ASK], summary="so far [a]")
    client.team = make_team(script, writer(effects), ask_human)
    kinds = []
    output = client.send({"task": "go", "budget": Budget(model_calls=1, summary=0).plain()})
    while output["status"] == "waiting":
        (review,) = output["reviews"]
        kinds.append(review["kind"])
        name, args = review["action_requests"][0]["name"], review["action_requests"][0]["args"]
        decision: dict[str, Any] = {"type": "approve"}
        if review["kind"] == "tool":
            decision = {"type": "edit", "edited_action": {"name": name, "args": {"text": "final"}}}
        if review["kind"] == "question":
            decision = {"type": "respond", "message": "Lima"}
        if "model_calls" in args:
            decision = {"type": "edit", "edited_action": {"name": name, "args": {"model_calls": "100"}}}
        output = client.answer({"decisions": [decision]})
    assert kinds == ["plan", "steer", "tool", "result", "question", "steer"]
    assert effects == ["final"]
    assert (output["status"], statuses(output["results"])["c"]) == ("limited", "succeeded")


def test_a_word_opens_one_review_and_continuing_opens_no_other(client: Client) -> None:
    """LangGraph hands the word out again on each later invocation, until the super-step is over."""
    client.team = make_team(TeamScript([step("a", approval=True), step("b", "a", approval=True), step("c", "b")]))
    client.send({"task": "go"})
    assert by_sub_task(client.answer("approve")).keys() == {"a"}
    output = client.answer("approve")
    assert by_sub_task(output).keys() == {"b"}
    for _ in range(3):
        output = client.send(None)
        assert by_sub_task(output).keys() == {"b"}
        assert "problem" not in by_sub_task(output)["b"].value
    assert sorted(worked(client.team.supervisor.model)) == ["a", "b"]
    assert client.answer("approve")["status"] == "done"


def test_with_several_reviews_open_a_word_is_refused_and_an_answer_by_id_is_taken(client: Client) -> None:
    client.team = make_team(TeamScript([step("a", approval=True), step("b", approval=True)]))
    client.send({"task": "go"})
    output = client.answer("approve")
    with pytest.raises(RuntimeError, match="you must specify the interrupt id"):
        client.answer("approve")
    assert by_sub_task(client.send(None)).keys() == {"a", "b"}
    output = client.answer({by_sub_task(output)["a"].id: APPROVE})
    assert by_sub_task(output).keys() == {"b"}
    assert by_sub_task(client.send(None)).keys() == {"b"}
    assert client.answer("approve")["status"] == "done"


def test_a_text_answers_one_question_of_a_tool_and_not_its_next(client: Client) -> None:
    results: Any = {"a": [call("ask_human", question="Which city?"), call("ask_human", question="Sure?"), say("done")]}
    client.team = make_team(TeamScript([step("a", agent="tooled")], results=results), ask_human)
    client.send({"task": "go"})
    output = client.answer("approve")
    output = client.answer({output["__interrupt__"][0].id: "Lima"})
    assert output["reviews"][0]["question"] == "Sure?"
    assert client.send(None)["reviews"][0]["question"] == "Sure?"
    assert client.answer("yes")["status"] == "done"
    answers = [text for r in client.team.supervisor.model.requests for role, text in r.messages if role == "tool"]  # type: ignore[union-attr]
    assert "Lima" in answers[0]
    assert "yes" in answers[-1]


def test_an_answer_by_interrupt_id_is_kept_while_the_same_call_asks_on(client: Client) -> None:
    @tool
    def book(room: str) -> str:
        """Book a room."""
        return f"{interrupt('Which city?')} and {interrupt('Which day?')} and {interrupt('Sure?')}"

    results: Any = {"a": [call("book", room="large"), say("done")]}
    client.team = make_team(TeamScript([step("a", agent="tooled")], results=results), declare(book, risk="read"))
    client.send({"task": "go"})
    output = client.answer("approve")
    for question, answer in {"Which city?": "Lima", "Which day?": "Monday", "Sure?": "yes"}.items():
        (asked,) = output["__interrupt__"]
        assert (asked.value["question"], asked.value.get("problem")) == (question, None)
        output = client.answer({asked.id: answer})
    answers = [text for r in client.team.supervisor.model.requests for role, text in r.messages if role == "tool"]  # type: ignore[union-attr]
    assert "Lima and Monday and yes" in answers[-1]
    assert output["status"] == "done"


def test_a_word_that_langgraph_saves_at_the_end_only_answers_nothing(client: Client) -> None:
    client.team = make_team(TeamScript([step("a", approval=True), step("b", "a", approval=True)]))
    client.send({"task": "go"})
    output = client.answer("approve")
    output = client.answer("approve", durability="exit")
    assert by_sub_task(output).keys() == {"a"}
    assert "names no review" in by_sub_task(output)["a"].value["problem"]
    named = {"review_id": by_sub_task(output)["a"].value["id"], "action": "approve"}
    assert by_sub_task(client.answer(named, durability="exit")).keys() == {"b"}


def test_a_word_from_before_a_kill_answers_the_review_that_was_open_then() -> None:
    team = make_team(TeamScript([step("a", approval=True), step("b", "a", approval=True)]))
    saver = InMemorySaver()
    graph = compile_graph(team, checkpointer=saver)
    graph.invoke({"task": "go"}, THREAD)
    graph.invoke(Command(resume="approve"), THREAD)
    # The process is killed after LangGraph has saved the word, and before any node has taken it.
    saver.put_writes(graph.get_state(THREAD).config, [(RESUME, "approve")], NO_TASK)
    output = graph.invoke(None, THREAD)
    assert by_sub_task(output).keys() == {"b"}
    assert by_sub_task(graph.invoke(None, THREAD)).keys() == {"b"}


def test_a_word_answers_nothing_once_two_reviews_are_open() -> None:
    team = make_team(TeamScript([step("a", approval=True), step("b", approval=True)]))
    saver = InMemorySaver()
    graph = compile_graph(team, checkpointer=saver)
    graph.invoke({"task": "go"}, THREAD)
    output = graph.invoke(Command(resume="approve"), THREAD)
    saver.put_writes(graph.get_state(THREAD).config, [(RESUME, "approve")], NO_TASK)
    output = graph.invoke(None, THREAD)
    asked = by_sub_task(output)
    assert asked.keys() == {"a", "b"}
    assert any(asked["a"].value["id"] in i.value.get("problem", "") for i in asked.values()), "it lists the open ones"
    graph.invoke(Command(resume={asked["a"].id: APPROVE}), THREAD)
    assert by_sub_task(graph.invoke(None, THREAD)).keys() == {"b"}, "nor later, when one alone is left"


def test_a_review_that_was_decided_elsewhere_leaves_the_word_to_no_other(tmp_path: Path) -> None:
    with Persistence(str(tmp_path / "x.db")) as persistence:
        team = make_team(TeamScript([step("a", approval=True), step("b", "a", approval=True)]))
        graph = compile_graph(team, checkpointer=persistence.checkpointer, store=persistence.store)
        graph.invoke({"task": "go"}, THREAD)
        (asked,) = graph.invoke(Command(resume="approve"), THREAD)["__interrupt__"]
        review = Review.of_payload(asked.value)
        decision = Decision(review_id=review.id, action="approve")
        run_blocking(record_decision(BLOCKING, persistence.store, review, decision))
        output = graph.invoke(Command(resume="approve"), THREAD)
        assert by_sub_task(output).keys() == {"b"}
        assert by_sub_task(graph.invoke(None, THREAD)).keys() == {"b"}


def test_a_word_that_an_older_version_refused_stays_refused() -> None:
    team = make_team(TeamScript([step("a", approval=True)]))
    saver = InMemorySaver()
    graph = compile_graph(team, checkpointer=saver)
    graph.invoke({"task": "go"}, THREAD)
    graph.invoke(Command(resume="approve"), THREAD)
    snapshot = graph.get_state(THREAD)
    saver.put_writes(snapshot.config, [(RESUME, ["approve"])], snapshot.tasks[0].id)
    output = graph.invoke(None, THREAD)
    assert "names no review" in by_sub_task(output)["a"].value["problem"]
    assert graph.invoke(Command(resume="approve"), THREAD)["status"] == "done"


def test_a_gate_inside_another_graph_is_answered_once_it_has_been_shown() -> None:
    class Outer(TypedDict, total=False):
        task: str
        answer: str

    outer = StateGraph(Outer)
    outer.add_node("team", compile_graph(make_team(TeamScript([step("a")], summary="fine"))))
    outer.add_edge(START, "team")
    outer.add_edge("team", END)
    graph: Any = outer.compile(checkpointer=InMemorySaver())
    output = graph.invoke({"task": "go"}, THREAD)
    assert not output.get("__interrupt__"), "LangGraph tells nothing of the static stop of an inner graph"
    output = graph.invoke(Command(resume="approve"), THREAD)
    assert "names no review" in output["__interrupt__"][0].value["problem"]
    assert graph.invoke(Command(resume="approve"), THREAD)["answer"] == "fine"


# -- two nodes at once, in an order that is forced ---------------------------------------------------------------------


class SignallingSaver(InMemorySaver):
    """A saver that signals when a pause is saved."""

    def __init__(self) -> None:
        super().__init__()
        self.paused = threading.Event()

    def put_writes(self, config: Any, writes: Any, task_id: str, task_path: str = "") -> None:
        super().put_writes(config, writes, task_id, task_path)
        if any(channel == INTERRUPT for channel, _ in writes):
            self.paused.set()


def test_a_word_goes_to_the_review_that_was_shown_and_not_to_the_first_that_asks() -> None:
    saver, store = SignallingSaver(), InMemoryStore()
    passed: list[str] = []
    has_asked = threading.Event()

    async def ask_for(bridge: Bridge, name: str) -> dict[str, Any]:
        decision = await ask(
            bridge, store, tool_review("t", CallInQuestion(name, name, name, name, {}), "write", "once")
        )
        passed.append(f"{name} {decision.action}")
        return {}

    async def shown(bridge: Bridge, state: Any, config: RunnableConfig) -> dict[str, Any]:
        if saver.paused.is_set():  # the second invocation: the other node asks first
            assert has_asked.wait(10)
        return await ask_for(bridge, "shown")

    async def unseen(bridge: Bridge, state: Any, config: RunnableConfig) -> dict[str, Any]:
        if not saver.paused.is_set():
            assert saver.paused.wait(10)
            raise OSError("as if the process had been killed before this node asked")
        try:
            return await ask_for(bridge, "unseen")
        finally:
            has_asked.set()

    class State(TypedDict, total=False):
        task: str

    builder = StateGraph(State)
    for name, body in {"shown": shown, "unseen": unseen}.items():
        builder.add_node(name, BridgedNode(name, body))
        builder.add_edge(START, name)
    graph: Any = builder.compile(checkpointer=saver)
    with pytest.raises(OSError, match="killed"):
        graph.invoke({"task": "go"}, THREAD)
    output = graph.invoke(Command(resume="approve"), THREAD)
    assert passed == ["shown approve"]
    assert [interrupt.value["sub_task_id"] for interrupt in output["__interrupt__"]] == ["unseen"]
    graph.invoke(None, THREAD)
    assert passed == ["shown approve"]
    graph.invoke(Command(resume="approve"), THREAD)
    assert passed == ["shown approve", "unseen approve"]
