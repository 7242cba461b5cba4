"""kill -9 while a user's graph works as a worker: it goes on from its last step, and repeats none of those before."""

import json
import os
import signal
from pathlib import Path

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict

import orchestrator.memory.recall
from orchestrator import Supervisor, TaskOrchestrator, Team, Worker
from orchestrator.graph.build import compile_graph
from orchestrator.testing import (
    CrashAfter,
    CrashingSaver,
    CrashingStore,
    EffectLog,
    ScriptedModel,
    TeamScript,
    run_until_killed,
)
from tests.support.teams import step

KILLED = -signal.SIGKILL
PLAN = [step("a", agent="guest"), step("b", "a", agent="guest")]


class State(TypedDict, total=False):
    """The state of the user's graph."""

    sub_task: str
    answer: str


def run_or_resume(folder: Path, point: CrashAfter | None = None, inside: str = "") -> None:
    """Run the plan or resume it, answer the questions, and write the status and the results."""
    orchestrator.memory.recall.has_embedder = lambda: False
    effects = EffectLog(folder / "effects")

    def act(name: str, state: State) -> None:
        effects.record(f"{state['sub_task']}-{name}")
        if inside == f"{state['sub_task']}-{name}":
            os.kill(os.getpid(), signal.SIGKILL)

    def one(state: State) -> State:
        act("one", state)
        return {}

    def two(state: State) -> State:
        answer = interrupt("go on?")
        act("two", state)
        return {"answer": answer}

    def three(state: State) -> State:
        act("three", state)
        return {}

    graph = StateGraph(State).add_node("one", one).add_node("two", two).add_node("three", three)
    graph.add_edge(START, "one").add_edge("one", "two").add_edge("two", "three")
    guest = Worker.of(
        graph.compile(),
        name="guest",
        description="acts",
        input=lambda sub_task, context: {"sub_task": sub_task.id},
        output=lambda state: f"{state['sub_task']}: {state['answer']}",
        risk="read",
    )
    team = Team(Supervisor(), [guest], model=ScriptedModel(TeamScript(PLAN)))
    with TaskOrchestrator(team=team, db=str(folder / "x.db")) as engine:
        if point is not None:
            saver = CrashingSaver(engine.persistence.checkpointer, point)
            store = CrashingStore(engine.persistence.store, point)
            engine.graph = compile_graph(team, checkpointer=saver, store=store)
        known = [record.id for record in engine.threads()]
        run = engine.resume("t") if "t" in known else engine.run("go", thread_id="t", auto_approve=True)
        while run.reviews:
            for review in run.reviews:
                engine.decide(review, "answer", "yes")
            run = engine.resume("t")
        results = [entry.text for entry in engine.memory.all()]
        (folder / "run.json").write_text(json.dumps({"status": run.status, "results": results}))


def finish(folder: Path) -> dict[str, int]:
    assert run_until_killed(run_or_resume, folder) == 0
    assert json.loads((folder / "run.json").read_text()) == {"status": "done", "results": ["a: yes", "b: yes"]}
    return dict(EffectLog(folder / "effects").counts())


ONCE = {f"{task}-{name}": 1 for task in "ab" for name in ("one", "two", "three")}


@pytest.mark.parametrize("kind", ["put", "writes", "store"])
@pytest.mark.parametrize("number", [3, 4, 5, 6, 7, 8, 9])
def test_after_a_kill_no_finished_step_of_the_graph_is_repeated(tmp_path: Path, kind: str, number: int) -> None:
    assert run_until_killed(run_or_resume, tmp_path, CrashAfter(kind, number)) == KILLED
    assert finish(tmp_path) == ONCE


@pytest.mark.parametrize("inside", ["a-one", "a-two", "a-three", "b-two"])
def test_a_kill_inside_a_step_repeats_that_step_alone(tmp_path: Path, inside: str) -> None:
    assert run_until_killed(run_or_resume, tmp_path, None, inside) == KILLED
    assert finish(tmp_path) == {**ONCE, inside: 2}
