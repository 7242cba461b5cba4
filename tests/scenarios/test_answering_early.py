"""A decision that comes while other branches still run: its branch goes on at once, and nothing runs twice."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from langchain_core.tools import tool
from langgraph.types import Command

from orchestrator import Budget, Limits, Review, TaskOrchestrator, declare
from orchestrator.concurrency import AWAITING, BLOCKING, run_blocking
from orchestrator.events import Event, ReviewAsked, SubTaskChanged, ToolCalled, parse_event
from orchestrator.reviews.open_reviews import open_review
from orchestrator.reviews.saved.reviews import open_reviews
from orchestrator.testing import EffectLog, Gate, Reply, TeamScript, call, say
from tests.support.running import LIMIT_S, Running, planned
from tests.support.teams import model_of, open_team, step, worked, writer

DECIDE = """
import sys
from orchestrator import OrchestratorClient
with OrchestratorClient(sys.argv[1]) as client:
    [review] = client.reviews("t")
    print(client.decide(review, "approve").review_id)
"""


def test_a_decision_of_another_process_lets_its_branch_go_on_while_a_sibling_still_runs(tmp_path: Path) -> None:
    gate = Gate()
    plan = planned(step("a", approval=True), step("slow"), step("after", "a"))
    script = TeamScript([], results={"slow": say("slow").behind(gate)})
    with open_team(script, tmp_path / "x.db") as team:
        running = Running(team.run, "go", plan=plan, thread_id="t")
        review = running.seen.until_asked("a")
        running.seen.until_status("a", "waiting")
        shown = team.show("t")
        assert (shown.status, [r.id for r in shown.reviews]) == ("running", [review])
        decided = subprocess.run(
            [sys.executable, "-c", DECIDE, str(tmp_path / "x.db")], check=True, capture_output=True, text=True
        )
        assert decided.stdout.strip() == review
        running.seen.until_status("after", "succeeded")
        assert team.reviews("t") == []
        assert not running.seen.has_status("slow", "succeeded")
        gate.release()
        assert running.result().status == "done"
        assert running.seen.asked == [review]
        assert sorted(worked(model_of(team))) == ["a", "after", "slow"]


def test_of_two_that_wait_each_goes_on_with_its_own_answer_while_a_third_runs(tmp_path: Path) -> None:
    gate = Gate()
    plan = planned(step("a", approval=True), step("b", approval=True), step("slow"), step("x", "a"), step("y", "b"))
    with open_team(TeamScript([], results={"slow": say("s").behind(gate)}), tmp_path / "x.db") as team:
        running = Running(team.run, "go", plan=plan, thread_id="t")
        asked = {task_id: running.seen.until_asked(task_id) for task_id in ("a", "b")}
        for waiting, dependent in (("b", "y"), ("a", "x")):
            team.decide(asked[waiting], "approve")
            running.seen.until_status(dependent, "succeeded")
        gate.release()
        assert running.result().status == "done"
        assert sorted(worked(model_of(team))) == ["a", "b", "slow", "x", "y"]


def test_a_tool_call_is_made_the_moment_that_it_is_approved(tmp_path: Path) -> None:
    gate, effects = Gate(), []
    plan = planned(step("a", agent="tooled"), step("slow"))
    script = TeamScript([], results={"a": [call("write", text="hello"), say("written")], "slow": say("s").behind(gate)})
    with open_team(script, tmp_path / "x.db", writer(effects)) as team:
        running = Running(team.run, "go", plan=plan, thread_id="t")
        team.decide(running.seen.until_asked("a"), "approve")
        running.seen.until_status("a", "succeeded")
        gate.release()
        run = running.result()
    assert (run.status, effects) == ("done", ["hello"])
    assert run.outcomes["a"].seconds < LIMIT_S


def test_of_two_calls_of_one_worker_the_one_that_waits_lets_the_other_go_on(tmp_path: Path) -> None:
    entered, may_end, effects = threading.Event(), threading.Event(), []

    def look(name: str) -> str:
        """Look at something for a while."""
        entered.set()
        assert may_end.wait(LIMIT_S)
        return f"saw {name}"

    calls = Reply(calls=(("write", {"text": "w"}), ("look", {"name": "n"})))
    script = TeamScript([], results={"a": [calls, say("both")]})
    tools = (writer(effects), declare(tool(look), risk="read", effect="none"))
    with open_team(script, tmp_path / "x.db", *tools) as team:
        running = Running(team.run, "go", plan=planned(step("a", agent="tooled")), thread_id="t")
        review = running.seen.until_asked("a")
        assert entered.wait(LIMIT_S)
        team.decide(review, "approve")
        running.seen.until(lambda event: isinstance(event, ToolCalled) and event.tool == "write")
        may_end.set()
        assert running.result().status == "done"
    assert effects == ["w"]


def test_a_branch_that_waits_gives_its_slot_to_another(tmp_path: Path) -> None:
    gate, effects = Gate(), []
    results = {"a": [call("write", text="hello"), say("written")], "slow": say("s").behind(gate)}
    plan = planned(step("a", agent="tooled"), step("slow"), step("last"))
    with open_team(
        TeamScript([], results=results), tmp_path / "x.db", writer(effects), limits=Limits(parallel_workers=1)
    ) as team:
        running = Running(team.run, "go", plan=plan, thread_id="t")
        review = running.seen.until_asked("a")
        assert gate.entered.wait(LIMIT_S), "the only slot was never free"
        team.decide(review, "approve")
        gate.release()
        assert running.result().status == "done"
    assert effects == ["hello"]


def test_a_branch_that_waits_twice_says_so_twice_and_gives_its_slot_to_another_each_time(tmp_path: Path) -> None:
    first, second, effects = Gate(), Gate(), []
    writes = [call("write", text="one"), call("write", text="two").behind(first), say("written")]
    results = {"a": writes, "b": say("b").behind(first), "c": say("c").behind(second)}
    plan = planned(step("a", agent="tooled"), step("b"), step("c", "b"))
    with open_team(
        TeamScript([], results=results), tmp_path / "x.db", writer(effects), limits=Limits(parallel_workers=2)
    ) as team:
        running = Running(team.run, "go", plan=plan, thread_id="t")
        team.decide(running.seen.until_asked("a"), "approve")
        first.release()
        asked = running.seen.until(lambda e: isinstance(e, ReviewAsked) and e.review.subject["args"]["text"] == "two")
        assert second.entered.wait(LIMIT_S)
        running.seen.until(lambda _: running.seen.statuses("a") == ["running", "waiting", "running", "waiting"])
        team.decide(asked.review, "approve")  # type: ignore[attr-defined]
        second.release()
        assert running.result().status == "done"
    assert effects == ["one", "two"]


def test_a_branch_whose_result_was_reviewed_keeps_no_slot(tmp_path: Path) -> None:
    gate = Gate()
    plan = planned(step("a", approval=True), step("b"), step("after", "a"))
    script = TeamScript([], results={"b": say("b").behind(gate)})
    with open_team(script, tmp_path / "x.db", limits=Limits(parallel_workers=1)) as team:
        running = Running(team.run, "go", plan=plan, thread_id="t")
        review = running.seen.until_asked("a")
        assert gate.entered.wait(LIMIT_S)
        team.decide(review, "approve")
        running.seen.until_status("a", "succeeded")
        gate.release()
        assert running.result().status == "done"


def test_a_stop_reaches_every_branch_that_waits(tmp_path: Path) -> None:
    gate, effects = Gate(), []
    plan = planned(step("a", approval=True), step("b", approval=True), step("c", agent="tooled"), step("slow"))
    results = {"c": [call("write", text="hello"), say("written")], "slow": say("s").behind(gate)}
    with open_team(TeamScript([], results=results), tmp_path / "x.db", writer(effects)) as team:
        running = Running(team.run, "go", plan=plan, thread_id="t")
        running.seen.until_asked("a")
        running.seen.until_asked("c")
        team.decide(running.seen.until_asked("b"), "stop")
        for task_id in ("a", "b", "c"):
            running.seen.until_status(task_id, "failed")
        gate.release()
        run = running.result()
    assert (run.status, effects) == ("stopped", [])
    assert [run.outcomes[task_id].stop for task_id in ("a", "b", "c")] == [True, True, True]


def test_more_budget_is_asked_for_and_given_while_a_tool_still_runs(tmp_path: Path) -> None:
    entered, may_end = threading.Event(), threading.Event()

    def look() -> str:
        """Look at something for a while."""
        entered.set()
        assert may_end.wait(LIMIT_S)
        return "saw it"

    script = TeamScript([], results={"a": [call("look"), say("a")], "b": [call("quick"), say("b")]})

    def quick() -> str:
        """Look after the other has begun."""
        assert entered.wait(LIMIT_S)
        return "seen"

    tools = [declare(tool(each), risk="read", effect="none") for each in (look, quick)]
    with open_team(script, tmp_path / "x.db", *tools) as team:
        budget = Budget(model_calls=2, summary=0)
        plan = planned(step("a", agent="tooled"), step("b", agent="tooled"), step("c", "b"))
        running = Running(team.run, "go", plan=plan, thread_id="t", budget=budget)
        asked = running.seen.until(lambda event: isinstance(event, ReviewAsked))
        assert isinstance(asked, ReviewAsked)
        team.decide(asked.review, "edit", data={"model_calls": 20})
        running.seen.until_status("c", "succeeded")
        may_end.set()
        assert running.result().status == "done"
        assert running.seen.asked == [asked.review.id]


CHILD = """
import sys, threading
from pathlib import Path
from langchain_core.tools import tool
from orchestrator import Plan, declare
from orchestrator.testing import EffectLog, TeamScript, call, say
from tests.support.running import LIMIT_S, Running, planned
from tests.support.teams import open_team, step, writer

folder = Path(sys.argv[1])
stuck = threading.Event()
results = {"a": [call("write", text="hello"), say("written")], "hang": [call("hang"), say("h")]}

def hang() -> str:
    "Hang."
    stuck.wait()
    return ""

tools = [writer(EffectLog(folder / "effects")), declare(tool(hang), risk="read", effect="none")]
with open_team(TeamScript([], results=results), folder / "x.db", *tools) as team:
    plan = Plan.parse([step("a", agent="tooled"), step("b", approval=True), step("hang", agent="tooled")])
    team.run("go", plan=plan, thread_id="t")
"""


def test_a_process_that_is_killed_while_it_waits_keeps_its_reviews_and_takes_answers_afterwards(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)])
    results: dict[str, Any] = {"a": [call("write", text="hello"), say("written")], "hang": [call("hang"), say("h")]}

    def hang() -> str:
        """Do not hang any more."""
        return "done"

    effects = EffectLog(tmp_path / "effects")
    tools = (writer(effects), declare(tool(hang), risk="read", effect="none"))
    with open_team(TeamScript([], results=results), tmp_path / "x.db", *tools) as team:
        until(lambda: team.has_thread("t") and len(team.reviews("t")) == 2, child)
        before = {review.sub_task_id: review.id for review in team.reviews("t")}
        child.kill()
        child.wait()
        assert {review.sub_task_id: review.id for review in team.reviews("t")} == before
        team.decide(before["a"], "approve")
        run = team.resume("t")
        assert (run.status, [review.id for review in run.reviews]) == ("waiting", [before["b"]])
        team.decide(before["b"], "approve")
        assert team.resume("t").status == "done"
        assert team.reviews("t") == []
        assert worked(model_of(team)).count("b") == 0, "its result is durable"
    assert effects.counts() == {"hello": 1}


def until(holds: Callable[[], bool], child: "subprocess.Popen[bytes]") -> None:
    """Look again and again: another process has no event that this one could wait for."""
    deadline = time.monotonic() + LIMIT_S
    while not holds():
        assert child.poll() is None, "the child ended by itself"
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)


def test_a_new_task_and_a_deletion_leave_no_open_review_behind(tmp_path: Path) -> None:
    with open_team(TeamScript([]), tmp_path / "x.db") as team:
        store = team.persistence.store
        stale = Review(id="t/result-00000000", kind="result", question="Is it right?", subject={"result": ""})
        assert team.run("one", plan=planned(step("a")), thread_id="t").status == "done"
        run_blocking(open_review(BLOCKING, store, stale))
        assert team.reviews("t") == [], "the run has ended"
        assert team.run("two", plan=planned(step("a", approval=True)), thread_id="t").status == "waiting"
        assert [review.sub_task_id for review in team.reviews("t")] == ["a"]
        run_blocking(open_review(BLOCKING, store, stale))
        team.delete("t")
        assert run_blocking(open_reviews(BLOCKING, store, "t")) == []


async def test_the_bare_graph_goes_on_too_and_pauses_when_nothing_else_runs(tmp_path: Path) -> None:
    gate = Gate()
    plan = planned(step("a", approval=True), step("b", approval=True), step("slow"), step("x", "a"))
    with open_team(TeamScript([], results={"slow": say("s").behind(gate)}), tmp_path / "x.db") as team:
        config: Any = {"configurable": {"thread_id": "t"}}
        seen: list[Event] = []
        async for chunk in team.graph.astream({"task": "go", "given_plan": plan.plain()}, config, stream_mode="custom"):
            if (event := parse_event(chunk)) is None:
                continue
            seen.append(event)
            if isinstance(event, ReviewAsked) and event.review.sub_task_id == "a":
                await team.adecide(event.review, "approve")
            if isinstance(event, SubTaskChanged) and (event.id, event.status) == ("x", "succeeded"):
                gate.release()
        [interrupt] = (await team.graph.aget_state(config)).interrupts
        assert interrupt.value["sub_task_id"] == "b"
        answer = {"review_id": interrupt.value["id"], "action": "approve"}
        state = await team.graph.ainvoke(Command(resume={interrupt.id: answer}), config)
        assert state["status"] == "done"
        assert await open_reviews_of(team) == []
        assert sorted(worked(model_of(team))) == ["a", "b", "slow", "x"]


async def open_reviews_of(team: TaskOrchestrator) -> list[Review]:
    return [r for r in await open_reviews(AWAITING, team.persistence.store, "t") if r in await team.areviews("t")]


async def test_with_a_bound_on_nodes_at_once_a_question_keeps_no_node_from_starting(tmp_path: Path) -> None:
    plan = planned(step("a", approval=True), step("b", approval=True), step("c"), step("d"))
    with open_team(TeamScript([]), tmp_path / "x.db") as team:
        config: Any = {"configurable": {"thread_id": "t"}, "max_concurrency": 1}
        await asyncio.wait_for(team.graph.ainvoke({"task": "go", "given_plan": plan.plain()}, config), LIMIT_S)
        assert len((await team.graph.aget_state(config)).interrupts) == 2
        assert sorted(worked(model_of(team))) == ["a", "b", "c", "d"]
