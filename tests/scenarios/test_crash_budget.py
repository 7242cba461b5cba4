"""kill -9 around a paid call: the endpoint is the witness, and the ledger never counts less than it saw."""

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

import orchestrator.memory.recall
from orchestrator import Budget, Limits, Persistence, Supervisor, TaskOrchestrator, Team, Worker, chat_model
from orchestrator.graph.build import compile_graph
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.models.settings import ModelSettings
from orchestrator.testing import CrashAfter, CrashingStore, OpenAIServer, TeamScript, run_until_killed
from orchestrator.testing.script import Reply, Request, count, cut
from tests.support.teams import step

PLAN = [step("a"), step("b", "a"), step("c"), step("d", "b", "c")]
BUDGET = Budget(tokens=12_000, model_calls=9, answer_tokens=200)


def run_or_resume(folder: Path, base_url: str, point: CrashAfter | None) -> None:
    """Carries the plan out against an endpoint that knows by the model's name which process asks."""
    orchestrator.memory.recall.has_embedder = lambda: False  # as in the other tests
    model = chat_model(ModelSettings(model=f"process-{os.getpid()}", base_url=base_url, api_key="key"))
    team = Team(Supervisor(), [Worker("worker", "You work.")], model=model, limits=Limits(parallel_workers=2))
    with TaskOrchestrator(team=team, db=str(folder / "x.db"), budget=BUDGET) as engine:
        if point is not None:
            store = CrashingStore(engine.persistence.store, point)
            engine.graph = compile_graph(team, checkpointer=engine.persistence.checkpointer, store=store)
        known = [record.id for record in engine.threads()]
        if "t" in known:
            run = engine.resume("t", allow_other_model=True)
        else:
            run = engine.run("go", thread_id="t", auto_approve=True)
        (folder / "run.json").write_text(json.dumps(run.to_dict()))


class Witness:
    """An endpoint that sums up what it was asked, and what it answered or would have: all of that may be billed.

    Args:
        kill_at: The process is killed when its request of this number, from 1, has arrived; 0 for never.
    """

    def __init__(self, kill_at: int) -> None:
        self.kill_at = kill_at
        self.requests = 0
        self.tokens = 0
        self.asked: list[str] = []
        self._script = TeamScript(PLAN, results={name: f"result of {name} " * 40 for name in "abcd"})
        self._lock = threading.Lock()

    def arrived(self, body: dict[str, Any]) -> None:
        """Asked first with each request."""
        with self._lock:
            self.requests += 1
            if self.requests == self.kill_at:
                os.kill(int(body["model"].removeprefix("process-")), signal.SIGKILL)

    def answer(self, request: Request) -> Reply:
        """The answer, noted as one that is paid for."""
        with self._lock:
            reply = self._script(request)
            self.tokens += count(request.text) + count(cut(reply.text, request.max_tokens))
            self.asked += [name for name in "abcd" if f"Sub-task {name}" in request.last_user and not request.schema]
        return reply


POINTS: list[int | CrashAfter] = [1, 2, 4, 6, *(CrashAfter("store", n) for n in (5, 9))]
POINTS += [CrashAfter("store", n, before=True) for n in (7, 12)]


@pytest.mark.parametrize(
    "point", POINTS, ids=lambda p: f"request-{p}" if isinstance(p, int) else f"{p.kind}-{p.number}"
)
def test_the_ledger_counts_all_that_the_endpoint_saw_and_the_budget_holds(
    tmp_path: Path, point: int | CrashAfter
) -> None:
    witness = Witness(point if isinstance(point, int) else 0)
    with OpenAIServer(witness.answer, faults=witness.arrived) as server:
        inside = point if isinstance(point, CrashAfter) else None
        assert run_until_killed(run_or_resume, tmp_path, server.base_url, inside) == -signal.SIGKILL
        with Persistence(str(tmp_path / "x.db")) as persistence:
            finished = {entry.sub_task_id for entry in SharedMemory(persistence.store, "t").all()}
        before = len(witness.asked)
        assert run_until_killed(run_or_resume, tmp_path, server.base_url, None) == 0
    run = json.loads((tmp_path / "run.json").read_text())
    usage = run["usage"]
    assert run["status"] == "done"
    assert witness.tokens <= usage["input_tokens"] + usage["output_tokens"] <= (BUDGET.tokens or 0)
    assert witness.requests <= usage["model_calls"] <= (BUDGET.model_calls or 0)
    assert finished.isdisjoint(witness.asked[before:]), "what was finished is not paid for again"
