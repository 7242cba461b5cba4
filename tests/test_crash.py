"""kill -9 at every point where something becomes durable: nothing is lost, and no effect happens twice."""

import json
import signal
from pathlib import Path

import pytest

from orchestrator.testing import CrashAfter, EffectLog, run_until_killed

# The child runs the same team on the same database each time; the crash point comes as arguments.
CHILD = '''
import json, sys
from pathlib import Path

from langchain_core.tools import tool

import orchestrator.embedder
from orchestrator import Supervisor, TaskOrchestrator, Team, Worker, declare
from orchestrator.graph import compile_graph
from orchestrator.testing import (
    CrashAfter, CrashingSaver, CrashingStore, EffectLog, ScriptedModel, TeamScript, call, say,
)

orchestrator.embedder.has_embedder = lambda: False  # as in the other tests
folder, kind, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
before, inside = sys.argv[4] == "True", sys.argv[5]
effects = EffectLog(folder / "effects")


@tool
def act(name: str) -> str:
    """Does something outside."""
    effects.record(name)
    if inside == name:
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
    return f"did {name}"


def sub_task(id, *needs):
    return {"id": id, "description": f"do {id}", "target_agent": "actor", "depends_on": list(needs)}


plan = [sub_task("a"), sub_task("b", "a"), sub_task("c"), sub_task("d", "b", "c")]
results = {i: [call("act", name=f"{i}1"), call("act", name=f"{i}2"), say(f"result of {i}")] for i in "abcd"}
effect = sys.argv[6]
declare(act, risk="read", effect=effect)
model = ScriptedModel(TeamScript(plan, results=results))
team = Team(Supervisor(), [Worker("actor", "You act.", tools=[act])], model=model)
engine = TaskOrchestrator(team=team, db=str(folder / "x.db"))
if kind != "none":
    point = CrashAfter(kind, number, before)
    saver = CrashingSaver(engine.persistence.checkpointer, point)
    store = CrashingStore(engine.persistence.store, point)
    engine.graph = compile_graph(team, checkpointer=saver, store=store)
known = [record.id for record in engine.threads()]
run = engine.resume("t") if "t" in known else engine.run("go", thread_id="t", auto_approve=True)
(folder / "run.json").write_text(json.dumps(run.to_dict()))
'''

EFFECTS = {f"{task}{step}": 1 for task in "abcd" for step in (1, 2)}


@pytest.fixture
def child(tmp_path: Path) -> Path:
    path = tmp_path / "child.py"
    path.write_text(CHILD)
    return path


def crash(child: Path, point: CrashAfter, inside: str = "", effect: str = "none") -> int:
    arguments = (str(child.parent), point.kind, str(point.number), str(point.before), inside, effect)
    return run_until_killed(child, *arguments)


def finish(child: Path, effect: str = "none") -> dict[str, object]:
    assert crash(child, CrashAfter("none", 0), effect=effect) == 0
    found: dict[str, object] = json.loads((child.parent / "run.json").read_text())
    return found


def test_without_a_crash_each_effect_happens_once(child: Path) -> None:
    assert finish(child)["status"] == "done"
    assert EffectLog(child.parent / "effects").counts() == EFFECTS


POINTS = [
    *(CrashAfter("put", number) for number in (1, 2, 3, 6, 11, 20)),
    *(CrashAfter("writes", number) for number in (1, 3, 4, 7, 9, 12)),
    *(CrashAfter("store", number, before) for number in (2, 3, 4, 5, 6) for before in (False, True)),
]


@pytest.mark.parametrize("point", POINTS, ids=lambda p: f"{p.kind}-{p.number}{'-before' if p.before else ''}")
def test_a_kill_at_a_durable_point_loses_nothing_and_repeats_nothing(child: Path, point: CrashAfter) -> None:
    assert crash(child, point) == -signal.SIGKILL
    run = finish(child)
    assert run["status"] == "done"
    counts = EffectLog(child.parent / "effects").counts()
    assert set(counts) == set(EFFECTS), "an effect is missing"
    assert max(counts.values()) == 1, f"an effect was repeated: {counts}"


def test_a_kill_after_each_of_many_points_in_turn_still_ends(child: Path) -> None:
    kills = 0
    for _ in range(8):
        if crash(child, CrashAfter("writes", 3)) == 0:
            break
        kills += 1
    assert kills >= 2
    assert finish(child)["status"] == "done"
    assert EffectLog(child.parent / "effects").counts() == EFFECTS


def test_a_kill_in_the_middle_of_a_call_repeats_it_when_that_does_no_harm(child: Path) -> None:
    assert crash(child, CrashAfter("none", 0), inside="b2", effect="idempotent") == -signal.SIGKILL
    assert finish(child, effect="idempotent")["status"] == "done"
    counts = EffectLog(child.parent / "effects").counts()
    assert counts["b2"] == 2
    assert {name: n for name, n in counts.items() if name != "b2"} == {n: 1 for n in EFFECTS if n != "b2"}


def test_a_kill_in_the_middle_of_a_call_never_repeats_one_that_must_happen_once(child: Path) -> None:
    assert crash(child, CrashAfter("none", 0), inside="b2", effect="once") == -signal.SIGKILL
    assert finish(child, effect="once")["status"] == "done"
    assert EffectLog(child.parent / "effects").counts() == EFFECTS
