"""The graph as LangGraph users drive it: invoke and ainvoke, with and without savers, gates that fail closed."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command

from orchestrator import Persistence, build_graph, compile_graph
from orchestrator.errors import PlanError
from orchestrator.testing import TeamScript, call, fail, say
from tests.support.teams import make_team, statuses, step, worked, writer

CHAIN = [step("a"), step("b", "a"), step("c", "b"), step("d")]
THREAD: Any = {"configurable": {"thread_id": "thread"}}
Invoke = Callable[[Any, Any, Any], dict[str, Any]]


def _sync(graph: Any, value: Any, config: Any) -> dict[str, Any]:
    result: dict[str, Any] = graph.invoke(value, config)
    return result


def _async(graph: Any, value: Any, config: Any) -> dict[str, Any]:
    result: dict[str, Any] = asyncio.run(graph.ainvoke(value, config))
    return result


@pytest.fixture(params=[_sync, _async], ids=["invoke", "ainvoke"])
def invoke(request: pytest.FixtureRequest) -> Invoke:
    found: Invoke = request.param
    return found


def test_a_task_is_planned_carried_out_and_answered(invoke: Invoke) -> None:
    team = make_team(TeamScript(CHAIN, summary="all done [a]"))
    graph = compile_graph(team, checkpointer=InMemorySaver())
    state = invoke(graph, {"task": "go", "auto_approve": True}, THREAD)
    assert state["status"] == "done"
    assert (state["answer"], [each["sub_task_id"] for each in state["references"]]) == ("all done", ["a"])
    assert statuses(state["results"]) == dict.fromkeys("abcd", "succeeded")


def test_results_reach_those_who_depend_on_them_and_the_summary(invoke: Invoke) -> None:
    team = make_team(TeamScript(CHAIN, results={"a": "the figure is 42"}))
    model: Any = team.supervisor.model
    invoke(compile_graph(team), {"task": "go", "auto_approve": True}, {})
    asked_b = next(r for r in model.requests if "Sub-task b: " in r.last_user)
    assert "the figure is 42" in asked_b.last_user
    assert "the figure is 42" in model.requests[-1].last_user


def test_it_runs_without_a_checkpointer(invoke: Invoke) -> None:
    state = invoke(build_graph(make_team(TeamScript(CHAIN))).compile(), {"task": "go", "auto_approve": True}, {})
    assert state["status"] == "done"


def test_the_plain_sqlite_saver_is_enough_and_results_lie_beside_it(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db", check_same_thread=False) as connection:
        team = make_team(TeamScript(CHAIN))
        graph = build_graph(team).compile(checkpointer=SqliteSaver(connection))
        assert graph.invoke({"task": "go", "auto_approve": True}, THREAD)["status"] == "done"
        assert connection.execute("SELECT count(*) FROM store").fetchone()[0] >= 4
    connection.close()


async def test_the_async_sqlite_saver_is_enough_too(tmp_path: Path) -> None:
    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "x.db")) as saver:
        graph = build_graph(make_team(TeamScript(CHAIN))).compile(checkpointer=saver)
        assert (await graph.ainvoke({"task": "go", "auto_approve": True}, THREAD))["status"] == "done"


def test_the_plan_waits_for_approval_and_continuing_without_a_decision_asks_again(invoke: Invoke) -> None:
    team = make_team(TeamScript(CHAIN))
    graph = compile_graph(team, checkpointer=InMemorySaver())
    invoke(graph, {"task": "go"}, THREAD)
    snapshot = graph.get_state(THREAD)
    assert snapshot.next == ("approve_plan",)
    review = snapshot.values["review"]

    invoke(graph, None, THREAD)
    (interrupt,) = graph.get_state(THREAD).interrupts
    assert interrupt.value["id"] == review["id"]
    for wrong in (True, "yes", "reject", {"review_id": "other", "action": "approve"}, False):
        invoke(graph, Command(resume=wrong), THREAD)
        (interrupt,) = graph.get_state(THREAD).interrupts
        assert interrupt.value["problem"]
    assert worked(team.supervisor.model) == []

    state = invoke(graph, Command(resume={"review_id": review["id"], "action": "approve"}), THREAD)
    assert state["status"] == "done"


def test_a_static_stop_can_be_resumed_with_the_decision_at_once(invoke: Invoke) -> None:
    graph = compile_graph(make_team(TeamScript(CHAIN)), checkpointer=InMemorySaver())
    invoke(graph, {"task": "go"}, THREAD)
    review = graph.get_state(THREAD).values["review"]
    state = invoke(graph, Command(resume={review["id"]: {"action": "approve"}}), THREAD)
    assert state["status"] == "done"


def test_two_reviews_are_answered_one_at_a_time_and_block_only_their_dependents(invoke: Invoke) -> None:
    plan = [step("a", approval=True), step("after_a", "a"), step("b", approval=True), step("after_b", "b"), step("c")]
    team = make_team(TeamScript(plan))
    graph = build_graph(team).compile(checkpointer=InMemorySaver())
    invoke(graph, {"task": "go"}, THREAD)
    (plan_review,) = graph.get_state(THREAD).interrupts
    answer = {"review_id": plan_review.value["id"], "action": "approve"}
    invoke(graph, Command(resume={plan_review.id: answer}), THREAD)

    open_now = {i.value["sub_task_id"]: i for i in graph.get_state(THREAD).interrupts}
    assert open_now.keys() == {"a", "b"}
    decision = {"review_id": open_now["a"].value["id"], "action": "approve"}
    invoke(graph, Command(resume={open_now["a"].id: decision}), THREAD)
    assert sorted(worked(team.supervisor.model)) == ["a", "after_a", "b", "c"]

    (left,) = graph.get_state(THREAD).interrupts
    decision = {"review_id": left.value["id"], "action": "approve"}
    state = invoke(graph, Command(resume={left.id: decision}), THREAD)
    assert state["status"] == "done"
    assert sorted(worked(team.supervisor.model)) == ["a", "after_a", "after_b", "b", "c"]


def test_one_answer_never_opens_two_gates(invoke: Invoke) -> None:
    effects: list[str] = []
    plan = [step("a", agent="tooled"), step("b", agent="tooled")]
    results = {i: [call("write", text=i), say("done")] for i in "ab"}
    graph = build_graph(make_team(TeamScript(plan, results=results), writer(effects))).compile(
        checkpointer=InMemorySaver()
    )
    invoke(graph, {"task": "go"}, THREAD)
    (plan_review,) = graph.get_state(THREAD).interrupts
    invoke(graph, Command(resume={"review_id": plan_review.value["id"], "action": "approve"}), THREAD)
    asked = {i.value["sub_task_id"]: i for i in graph.get_state(THREAD).interrupts}
    assert asked.keys() == {"a", "b"}
    decision = {"review_id": asked["a"].value["id"], "action": "approve"}
    invoke(graph, Command(resume={asked["a"].id: decision}), THREAD)
    for _ in range(3):
        invoke(graph, None, THREAD)
    assert effects == ["a"]
    (left,) = graph.get_state(THREAD).interrupts
    assert left.value["sub_task_id"] == "b"


def approve(invoke: Invoke, graph: Any, subject: str) -> dict[str, Any]:
    """Approves the open review of this sub-task, or of this kind."""
    (asked,) = [
        i for i in graph.get_state(THREAD).interrupts if subject in (i.value.get("sub_task_id"), i.value["kind"])
    ]
    return invoke(graph, Command(resume={asked.id: {"review_id": asked.value["id"], "action": "approve"}}), THREAD)


def test_the_task_given_again_before_the_plan_is_approved_asks_the_same_again(invoke: Invoke) -> None:
    team = make_team(TeamScript([CHAIN, [step("other")]]))
    graph = build_graph(team).compile(checkpointer=InMemorySaver())
    first = invoke(graph, {"task": "go"}, THREAD)["reviews"]
    assert invoke(graph, {"task": "go"}, THREAD)["reviews"] == first
    assert approve(invoke, graph, "plan")["status"] == "done"
    assert sorted(worked(team.supervisor.model)) == ["a", "b", "c", "d"]


def test_the_task_given_again_with_everything_approved_passes_the_gate(invoke: Invoke) -> None:
    team = make_team(TeamScript([CHAIN, [step("other")]]))
    graph = build_graph(team).compile(checkpointer=InMemorySaver())
    invoke(graph, {"task": "go"}, THREAD)
    state = invoke(graph, {"task": "go", "auto_approve": True}, THREAD)
    assert statuses(state["results"]) == dict.fromkeys("abcd", "succeeded")


def test_the_task_given_again_in_the_middle_of_a_round_goes_on_and_repeats_nothing(invoke: Invoke) -> None:
    plan = [step("a", approval=True), step("b", approval=True), step("c"), step("d", "a", "b", "c")]
    team = make_team(TeamScript([plan, [step("other")]]))
    graph = build_graph(team).compile(checkpointer=InMemorySaver())
    invoke(graph, {"task": "go"}, THREAD)
    approve(invoke, graph, "plan")
    approve(invoke, graph, "a")
    for _ in range(12):  # more often than there may be rounds
        invoke(graph, {"task": "go"}, THREAD)
    assert [i.value["sub_task_id"] for i in graph.get_state(THREAD).interrupts] == ["b"]
    state = approve(invoke, graph, "b")
    assert (state["status"], graph.get_state(THREAD).values["round"]) == ("done", 1)
    assert sorted(worked(team.supervisor.model)) == ["a", "b", "c", "d"]


def test_the_task_given_again_to_a_run_that_is_stuck_asks_the_same_again(invoke: Invoke) -> None:
    ask = {"reason": "no idea", "decision": "ask_human", "changes": []}
    script = TeamScript([step("a"), step("b")], results={"a": fail(RuntimeError("no"))}, revisions=[ask])
    team = make_team(script)
    graph = build_graph(team).compile(checkpointer=InMemorySaver())
    invoke(graph, {"task": "go"}, THREAD)
    (first,) = approve(invoke, graph, "plan")["reviews"]
    assert first["kind"] == "steer"
    assert invoke(graph, {"task": "go"}, THREAD)["reviews"] == [first]
    state = invoke(graph, {"task": "go", "auto_approve": True}, THREAD)
    assert (state["status"], statuses(state["results"])) == ("limited", {"a": "failed", "b": "succeeded"})
    assert sorted(worked(team.supervisor.model)) == ["a", "b"]


def test_the_task_given_again_before_the_answer_was_written_only_writes_it(invoke: Invoke) -> None:
    ask = {"reason": "no idea", "decision": "ask_human", "changes": []}
    script = TeamScript(
        [step("a"), step("b")],
        results={"a": fail(RuntimeError("no"))},
        revisions=[ask],
        summary=fail(ZeroDivisionError("as if it had crashed")),
    )
    team = make_team(script)
    graph = build_graph(team).compile(checkpointer=InMemorySaver())
    with pytest.raises(ZeroDivisionError):
        invoke(graph, {"task": "go", "auto_approve": True}, THREAD)
    script._summary = "half of it"
    state = invoke(graph, {"task": "go", "auto_approve": True}, THREAD)
    assert (state["status"], state["answer"].splitlines()[0]) == ("limited", "half of it")
    assert sorted(worked(team.supervisor.model)) == ["a", "b"]


def test_a_new_task_on_a_finished_thread_has_a_plan_and_outcomes_of_its_own(invoke: Invoke, tmp_path: Path) -> None:
    team = make_team(TeamScript([[step("a"), step("b")], [step("x")]], summary="fresh"))
    with Persistence(str(tmp_path / "x.db")) as on:
        graph = compile_graph(team, checkpointer=on.checkpointer, store=on.store)
        invoke(graph, {"task": "first", "auto_approve": True}, THREAD)
        state = invoke(graph, {"task": "second", "auto_approve": True}, THREAD)
        assert statuses(state["results"]) == {"x": "succeeded"}
        again = invoke(graph, {"task": "second", "auto_approve": True, "afresh": True}, THREAD)
        assert again["status"] == "done"
    assert "result of a" not in team.supervisor.model.requests[-1].last_user  # type: ignore[attr-defined]


def test_an_empty_task_is_refused(invoke: Invoke) -> None:
    with pytest.raises(PlanError, match="no task"):
        invoke(compile_graph(make_team(TeamScript(CHAIN))), {"task": "  "}, {})


def test_the_picture_shows_supervisor_workers_and_gates() -> None:
    drawn = compile_graph(make_team(TeamScript(CHAIN))).get_graph().draw_mermaid()
    for node in ("supervisor", "worker", "tooled", "reviewer", "approve_plan", "human_review", "summarize"):
        assert f"{node}(" in drawn
    assert drawn.count("__interrupt = before") == 2


def test_a_wide_and_deep_plan_does_not_deadlock_on_few_threads() -> None:
    plan = [
        step(f"r{row}c{column}", *([f"r{row}c{column - 1}"] if column else []))
        for column in range(5)
        for row in range(8)
    ]
    graph = compile_graph(make_team(TeamScript(plan)))
    state = graph.invoke({"task": "go", "auto_approve": True}, {"max_concurrency": 3})
    assert len(state["results"]) == 40
    assert state["status"] == "done"
