"""Questions of graphs that tools run, while other work goes on and while the run has paused."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command, interrupt

from orchestrator import compile_graph, declare
from orchestrator.events import ReviewAsked
from orchestrator.testing import Gate, TeamScript, call, say
from tests.support.asking_graphs import branching_graph, shown, told_by, trip_graph
from tests.support.running import LIMIT_S, Running, planned
from tests.support.teams import make_team, open_team, step

PLAN = planned(step("a", agent="tooled"))
CALLS = {"a": [call("plan_trip", about="Chile"), say("it is done")]}
CONFIG: Any = {"configurable": {"thread_id": "t"}}
BEGIN = {"task": "go", "given_plan": PLAN.plain(), "auto_approve": True}


@pytest.mark.parametrize("answered", ["Left?", "Right?"])
def test_an_answer_to_one_of_two_open_questions_is_used_while_another_branch_still_runs(
    tmp_path: Path, answered: str
) -> None:
    gate, arrived = Gate(), threading.Event()

    def on_answer(answer: str) -> None:
        arrived.set()

    graph = branching_graph(on_answer)
    results = {**CALLS, "slow": say("slow").behind(gate)}
    with open_team(TeamScript([], results=results), tmp_path / "x.db", shown(lambda: graph)) as team:
        plan = planned(step("a", agent="tooled"), step("slow"))
        running = Running(team.run, "go", plan=plan, thread_id="t", auto_approve=True)
        for question in ("Left?", "Right?"):
            running.seen.until(lambda e, q=question: isinstance(e, ReviewAsked) and e.review.question == q)  # type: ignore[misc]
        [review] = [review for review in team.reviews("t") if review.question == answered]
        team.decide(review, "answer", "yes")
        assert arrived.wait(LIMIT_S), "the answer waited for the other question, or for the other branch"
        assert not running.seen.has_status("slow", "succeeded")
        gate.release()
        [left] = running.result().reviews
        assert left.question == {"Left?": "Right?", "Right?": "Left?"}[answered]
        team.decide(left, "answer", "no")
        assert team.resume("t").status == "done"


async def test_each_open_question_has_an_interrupt_of_its_own() -> None:
    graph = branching_graph()
    team = make_team(TeamScript([], results=CALLS), shown(lambda: graph))
    compiled = compile_graph(team, checkpointer=InMemorySaver(), store=InMemoryStore())
    state = await compiled.ainvoke(BEGIN, CONFIG)
    interrupts = {interrupt.id: interrupt.value["question"] for interrupt in state["__interrupt__"]}
    assert sorted(interrupts.values()) == ["Left?", "Right?"]


async def test_to_continue_without_an_answer_shows_the_same_question_unchanged() -> None:
    team = make_team(TeamScript([], results=CALLS), told_by(trip_graph([], "Where?", "When?"), is_async=True))
    compiled = compile_graph(team, checkpointer=InMemorySaver(), store=InMemoryStore())
    await compiled.ainvoke(BEGIN, CONFIG)
    [asked] = (await compiled.ainvoke(Command(resume="Lima"), CONFIG))["__interrupt__"]
    assert asked.value["question"] == "When?"
    [again] = (await compiled.ainvoke(None, CONFIG))["__interrupt__"]
    assert again == asked, "the answer to the question before was held against it"


def test_a_question_that_a_tool_asked_before_its_graph_is_not_asked_twice() -> None:
    graph = trip_graph([], "Graph?")

    @tool
    def plan_trip(about: str) -> str:
        """Plans a trip."""
        return f"told {interrupt('Before?')}, {graph.invoke({})['told'][0]}"

    team = make_team(TeamScript([], results=CALLS), declare(plan_trip, risk="read"))
    compiled = compile_graph(team, checkpointer=InMemorySaver(), store=InMemoryStore())

    async def drive() -> Any:
        state = await compiled.ainvoke(BEGIN, CONFIG)
        for answer in ("0", "1"):
            [asked] = state["__interrupt__"]
            state = await compiled.ainvoke(Command(resume={asked.id: answer}), CONFIG)
        return state

    assert asyncio.run(drive())["status"] == "done"
    assert "told 0, '1'" in [text for role, text in team.supervisor.model.requests[-2].messages if role == "tool"]  # type: ignore[attr-defined]
