"""Run a team in a child process and kill the process at a chosen point. The tools leave a trace outside."""

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_core.tools import tool

import orchestrator.memory.recall
from orchestrator import Supervisor, TaskOrchestrator, Team, Worker, declare
from orchestrator.graph.build import compile_graph
from orchestrator.testing import CrashAfter, CrashingSaver, CrashingStore, EffectLog, ScriptedModel, TeamScript, say
from orchestrator.testing import call as tool_call

SubTasks = Sequence[tuple[str, Sequence[str]]]
CHAIN: SubTasks = (("a", ()), ("b", ("a",)), ("c", ("b",)))
DIAMOND: SubTasks = (("a", ()), ("b", ("a",)), ("c", ()), ("d", ("b", "c")))


def run_or_resume(
    folder: Path, plan: SubTasks, point: CrashAfter | None = None, inside: str = "", effect: str = "none"
) -> None:
    """Execute the plan or resume it, with two effects for each sub-task, and write the run to `run.json`.

    Plans are approved, and reviews of tool calls are rejected.
    """
    orchestrator.memory.recall.has_embedder = lambda: False  # as in the other tests
    effects = EffectLog(folder / "effects")

    @tool
    def act(name: str) -> str:
        """Do something outside."""
        effects.record(name)
        if inside == name:
            os.kill(os.getpid(), signal.SIGKILL)
        return f"did {name}"

    declare(act, risk="read", effect=effect)  # type: ignore[arg-type]
    listed = [{"id": i, "description": f"do {i}", "target_agent": "actor", "depends_on": list(n)} for i, n in plan]
    results: dict[str, Any] = {
        i: [tool_call("act", name=f"{i}1"), tool_call("act", name=f"{i}2"), say(f"result of {i}")] for i, _ in plan
    }
    model = ScriptedModel(TeamScript(listed, results=results))
    team = Team(Supervisor(), [Worker("actor", "You act.", tools=[act])], model=model)
    with TaskOrchestrator(team=team, db=str(folder / "x.db")) as engine:
        if point is not None:
            saver = CrashingSaver(engine.persistence.checkpointer, point)
            store = CrashingStore(engine.persistence.store, point)
            engine.graph = compile_graph(team, checkpointer=saver, store=store)
        known = [record.id for record in engine.threads()]
        run = engine.resume("t") if "t" in known else engine.run("go", thread_id="t")
        asked: list[str] = []
        while run.reviews:
            for review in run.reviews:
                asked.append(review.stake)
                engine.decide(review.id, *(("reject", "no") if review.kind == "tool" else ("approve",)))
            run = engine.resume("t")
        (folder / "run.json").write_text(json.dumps({**run.to_dict(), "asked": asked}))
