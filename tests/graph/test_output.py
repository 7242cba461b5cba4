"""The graph's output: what a caller gets when the graph ends, stops at a gate, or waits for a worker's review."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command
from typing_extensions import TypedDict

from orchestrator import Budget, compile_graph
from orchestrator.testing import TeamScript, call, fail, say
from tests.support.teams import make_team, statuses, step, writer

THREAD: Any = {"configurable": {"thread_id": "t"}}
FIELDS = {"task", "status", "answer", "references", "results", "reviews", "usage"}
ASK = {"reason": "no idea", "decision": "ask_human", "changes": []}
Invoke = Callable[[Any, Any], dict[str, Any]]


@pytest.fixture(params=["invoke", "ainvoke", "stream"])
def invoke(request: pytest.FixtureRequest) -> Invoke:
    def run(graph: Any, value: Any) -> dict[str, Any]:
        if request.param == "invoke":
            return dict(graph.invoke(value, THREAD))
        if request.param == "ainvoke":
            return dict(asyncio.run(graph.ainvoke(value, THREAD)))
        chunks = graph.stream(value, THREAD, stream_mode="values", output_keys=graph.output_channels)
        return dict([chunk for chunk in chunks if "__interrupt__" not in chunk][-1])

    return run


def approve(invoke: Invoke, graph: Any, review: dict[str, Any]) -> dict[str, Any]:
    return invoke(graph, Command(resume={"review_id": review["id"], "action": "approve"}))


def test_a_run_that_ends_gives_its_answer_and_results_and_nothing_of_its_inner_state(invoke: Invoke) -> None:
    team = make_team(TeamScript([step("a"), step("b", "a")], results={"a": "42 " * 50}, summary="it is 42 [a]"))
    graph = compile_graph(team, checkpointer=InMemorySaver())
    output = invoke(graph, {"task": "go", "auto_approve": True})
    assert output.keys() == FIELDS
    assert (output["task"], output["status"], output["answer"]) == ("go", "done", "it is 42")
    assert output["reviews"] == []
    assert output["results"]["a"] == {
        "text": ("42 " * 50).strip(),
        "status": "succeeded",
        "agent": "worker",
        "sources": [],
    }
    assert output["usage"]["model_calls"] == len(team.supervisor.model.requests)  # type: ignore[attr-defined]


def test_the_texts_of_results_are_in_no_checkpoint(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db", check_same_thread=False) as connection:
        saver = SqliteSaver(connection)
        team = make_team(TeamScript([step("a")], results={"a": "x" * 100 + "END"}))
        graph = compile_graph(team, checkpointer=saver)
        output = graph.invoke({"task": "go", "auto_approve": True}, THREAD)
        assert output["results"]["a"]["text"].endswith("END")
        here = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
        saved = str([(found.checkpoint, found.pending_writes) for found in saver.list(here)])
        assert "outcomes" in saved
        assert "END" not in saved
    connection.close()


def test_at_the_first_stop_output_and_state_carry_the_open_review(invoke: Invoke) -> None:
    graph = compile_graph(make_team(TeamScript([step("a")])), checkpointer=InMemorySaver())
    output = invoke(graph, {"task": "go"})
    assert output["status"] == "waiting"
    (review,) = output["reviews"]
    assert (review["kind"], review["subject"]["plan"][0]["id"]) == ("plan", "a")
    values = graph.get_state(THREAD).values
    assert (values["status"], values["reviews"]) == ("waiting", output["reviews"])
    output = approve(invoke, graph, review)
    assert (output["status"], output["reviews"]) == ("done", [])
    values = graph.get_state(THREAD).values
    assert (values["status"], values["reviews"]) == ("done", [])


def test_a_run_that_is_stuck_shows_its_review_and_the_results_so_far(invoke: Invoke) -> None:
    script = TeamScript([step("a"), step("b")], results={"a": fail(RuntimeError("broken"))}, revisions=[ASK])
    graph = compile_graph(make_team(script), checkpointer=InMemorySaver())
    output = approve(invoke, graph, invoke(graph, {"task": "go"})["reviews"][0])
    assert [(output["status"], review["kind"]) for review in output["reviews"]] == [("waiting", "steer")]
    assert statuses(output["results"]) == {"a": "failed", "b": "succeeded"}
    assert "broken" in output["results"]["a"]["error"]
    output = approve(invoke, graph, output["reviews"][0])
    assert (output["status"], output["reviews"]) == ("limited", [])


def test_the_reviews_of_workers_are_in_the_output_too(invoke: Invoke) -> None:
    plan = [step("a", approval=True), step("after", "a"), step("b", agent="tooled"), step("c")]
    results: Any = {"b": [call("write", text="one"), say("done")]}
    team = make_team(TeamScript(plan, results=results), writer([]))
    graph = compile_graph(team, checkpointer=InMemorySaver())
    output = approve(invoke, graph, invoke(graph, {"task": "go"})["reviews"][0])
    assert output["status"] == "waiting"
    assert {(r["kind"], r["sub_task_id"]) for r in output["reviews"]} == {("result", "a"), ("tool", "b")}
    assert output["usage"]["model_calls"] == len(team.supervisor.model.requests)  # type: ignore[attr-defined]
    # The report is of this invocation only: nothing of it is saved, so no node finds a review that is answered by then.
    assert graph.get_state(THREAD).values["reviews"] == []
    decisions = {i.id: {"review_id": i.value["id"], "action": "approve"} for i in graph.get_state(THREAD).interrupts}
    output = invoke(graph, Command(resume=decisions))
    assert (output["status"], output["reviews"]) == ("done", [])


def test_a_spent_budget_is_a_review_of_the_output(invoke: Invoke) -> None:
    graph = compile_graph(make_team(TeamScript([step("a")])), checkpointer=InMemorySaver())
    output = invoke(graph, {"task": "go", "budget": Budget(tokens=60).plain()})
    assert [(output["status"], review["kind"]) for review in output["reviews"]] == [("waiting", "steer")]
    (interrupt,) = graph.get_state(THREAD).interrupts
    assert interrupt.value == output["reviews"][0]
    assert interrupt.response_schema == interrupt.value["schema"]


def test_continuing_without_an_answer_asks_again_and_passes_nothing(invoke: Invoke) -> None:
    graph = compile_graph(make_team(TeamScript([step("a")])), checkpointer=InMemorySaver())
    first = invoke(graph, {"task": "go"})
    for _ in range(2):
        again = invoke(graph, None)
        assert (again["status"], again["reviews"]) == ("waiting", first["reviews"])
    (interrupt,) = graph.get_state(THREAD).interrupts
    assert interrupt.value["id"] == first["reviews"][0]["id"]


def test_a_stop_shows_the_results_and_a_new_task_shows_none_of_them(invoke: Invoke) -> None:
    script = TeamScript([[step("a"), step("b")], [step("x")]], results={"a": fail(RuntimeError("no"))}, revisions=[ASK])
    graph = compile_graph(make_team(script), checkpointer=InMemorySaver())
    output = approve(invoke, graph, invoke(graph, {"task": "go"})["reviews"][0])
    output = invoke(graph, Command(resume={"review_id": output["reviews"][0]["id"], "action": "stop"}))
    assert (output["status"], statuses(output["results"])) == ("stopped", {"a": "failed", "b": "succeeded"})
    output = invoke(graph, {"task": "another"})
    assert (output["status"], output["results"], len(output["reviews"])) == ("waiting", {}, 1)
    output = invoke(graph, {"task": "a third", "auto_approve": True})
    assert (output["status"], output["reviews"]) == ("done", [])


def test_an_endpoint_that_fails_a_worker_is_no_open_review(invoke: Invoke) -> None:
    script = TeamScript([step("a")], results={"a": fail(ConnectionError("no route"))})
    graph = compile_graph(make_team(script), checkpointer=InMemorySaver())
    output = approve(invoke, graph, invoke(graph, {"task": "go"})["reviews"][0])
    assert (output["status"], output["reviews"]) == ("failed", [])
    (trouble,) = graph.get_state(THREAD).interrupts
    assert "no route" in trouble.value["error"]


def test_the_schema_of_the_output_names_what_a_caller_needs() -> None:
    graph = compile_graph(make_team(TeamScript([step("a")])))
    assert graph.get_output_jsonschema()["properties"].keys() == FIELDS | {"output"}
    asked = {"task", "auto_approve", "given_plan", "budget", "afresh", "output_schema"}
    assert graph.get_input_jsonschema()["properties"].keys() == asked


def test_a_graph_around_it_gets_answer_and_results() -> None:
    class Outer(TypedDict, total=False):
        task: str
        auto_approve: bool
        answer: str
        results: dict[str, Any]

    outer = StateGraph(Outer)
    outer.add_node("team", compile_graph(make_team(TeamScript([step("a")], summary="fine [a]"))))
    outer.add_edge(START, "team")
    outer.add_edge("team", END)
    output = outer.compile().invoke({"task": "go", "auto_approve": True})
    assert (output["answer"], statuses(output["results"])) == ("fine", {"a": "succeeded"})
