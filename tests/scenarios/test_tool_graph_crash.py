"""kill -9 while a tool runs a user's graph: the graph goes on from its last step, and asks nothing twice."""

import json
import os
import signal
from pathlib import Path

import pytest
from langchain_core.tools import tool
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict

import orchestrator.memory.recall
from orchestrator import Supervisor, TaskOrchestrator, Team, Worker, declare
from orchestrator.graph.build import compile_graph
from orchestrator.testing import (
    CrashAfter,
    CrashingSaver,
    CrashingStore,
    EffectLog,
    ScriptedModel,
    TeamScript,
    call,
    run_until_killed,
)
from tests.support.teams import step

KILLED = -signal.SIGKILL


class State(TypedDict, total=False):
    """The state of the user's graph."""

    answers: list[str]


def run_or_resume(folder: Path, point: CrashAfter | None = None, inside: str = "") -> None:
    """Run the plan or resume it, answer the questions, and write what was asked and answered."""
    orchestrator.memory.recall.has_embedder = lambda: False  # type: ignore[assignment]
    effects = EffectLog(folder / "effects")

    def act(name: str) -> None:
        effects.record(name)
        if inside == name:
            os.kill(os.getpid(), signal.SIGKILL)

    def book(state: State) -> State:
        act("book")
        return {}

    def ask(state: State) -> State:
        answers = [interrupt("where?"), interrupt("when?")]
        act("ask")
        return {"answers": answers}

    def pay(state: State) -> State:
        answers = [*state["answers"], interrupt("card?")]
        act("pay")
        return {"answers": answers}

    graph = StateGraph(State).add_sequence([book, ask, pay]).add_edge(START, "book").compile()

    @declare(risk="read", effect="once")
    @tool
    async def plan_trip(about: str) -> str:
        """Plans a trip."""
        return ", ".join((await graph.ainvoke({}))["answers"])

    script = TeamScript([step("a", agent="clerk")], results={"a": [call("plan_trip", about="Chile"), "it is done"]})
    model = ScriptedModel(script)
    team = Team(Supervisor(), [Worker("clerk", "You ask.", tools=[plan_trip])], model=model)
    with TaskOrchestrator(team=team, db=str(folder / "x.db")) as engine:
        if point is not None:
            saver = CrashingSaver(engine.persistence.checkpointer, point)
            store = CrashingStore(engine.persistence.store, point)
            engine.graph = compile_graph(team, checkpointer=saver, store=store)
        known = [record.id for record in engine.threads()]
        run = engine.resume("t") if "t" in known else engine.run("go", thread_id="t", auto_approve=False)
        while run.reviews:
            for review in run.reviews:
                if review.kind == "question":
                    EffectLog(folder / "asked").record(review.question)
                    engine.decide(review, "answer", f"{review.question[:-1]}!")
                else:
                    engine.decide(review, "approve")
            run = engine.resume("t")
        (folder / "run.json").write_text(json.dumps({"status": run.status, "told": told(model)}))


def told(model: ScriptedModel) -> list[str]:
    """The tool's answers, as the model saw them in this process."""
    texts = [text for request in model.requests for role, text in request.messages if role == "tool"]
    return list(dict.fromkeys(texts))


def finish(folder: Path) -> dict[str, int]:
    assert run_until_killed(run_or_resume, folder) == 0
    run = json.loads((folder / "run.json").read_text())
    assert run["status"] == "done"
    assert run["told"] in (["where!, when!, card!"], [])  # [] where the killed process had sent the answer already
    return dict(EffectLog(folder / "effects").counts())


ONCE = {"book": 1, "ask": 1, "pay": 1}


@pytest.mark.parametrize("kind", ["put", "writes", "store"])
@pytest.mark.parametrize("number", range(4, 26, 3))
def test_after_a_kill_no_finished_step_of_the_graph_is_repeated(tmp_path: Path, kind: str, number: int) -> None:
    code = run_until_killed(run_or_resume, tmp_path, CrashAfter(kind, number))
    assert code in (KILLED, 0)  # some runs have fewer writes of a kind
    assert finish(tmp_path) == ONCE


@pytest.mark.parametrize("inside", ["book", "ask", "pay"])
def test_a_kill_inside_a_step_repeats_that_step_alone(tmp_path: Path, inside: str) -> None:
    assert run_until_killed(run_or_resume, tmp_path, None, inside) == KILLED
    assert finish(tmp_path) == {**ONCE, inside: 2}
