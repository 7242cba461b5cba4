"""What a bare graph has spent is whole after a pause or a failure, however its nodes race."""

import asyncio
import itertools
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator import OrchestratorClient, Persistence, compile_graph, declare
from orchestrator.errors import ModelError
from orchestrator.testing import Gate, TeamScript, call, fail, say
from tests.support.teams import make_team, step

CONFIG: Any = {"configurable": {"thread_id": "t"}}
NARROW: Any = {**CONFIG, "max_concurrency": 8}
WAYS: dict[str, Any] = {
    "threads": lambda graph, value: graph.invoke(value, CONFIG),
    "loop": lambda graph, value: asyncio.run(graph.ainvoke(value, CONFIG)),
    "narrow loop": lambda graph, value: asyncio.run(graph.ainvoke(value, NARROW)),
}


def note(text: str) -> str:
    """Note a text."""
    return "noted"


@pytest.fixture(autouse=True)
def held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger writes nothing by the clock, as it does in the second after its last write."""
    monkeypatch.setattr("orchestrator.budget.ledger._REPORT_S", 1e9)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_call_that_ends_after_another_node_has_paused_is_counted(tmp_path: Path, way: Any) -> None:
    gate = Gate()
    plan = [step("a", approval=True), step("b", agent="tooled")]
    calls = [call("note", text="x").behind(gate), say("result of b")]  # the second one begins when a has paused
    team = make_team(TeamScript(plan, results={"b": calls}), declare(note, risk="read"))
    with Persistence(tmp_path / "x.db") as persistence, OrchestratorClient(persistence) as client:
        graph = compile_graph(team, checkpointer=persistence.checkpointer, store=persistence.store)
        [review] = way(graph, {"task": "go"})["reviews"]
        client.decide(review["id"], "approve")

        def release() -> None:
            """Let b end once a has paused, and has written what it spent."""
            while not _written(persistence) and way is not WAYS["loop"]:  # there a waits for b, and writes last
                time.sleep(0.01)
            gate.release()

        releasing = threading.Thread(target=release)
        releasing.start()
        [review] = way(graph, None)["reviews"]
        releasing.join()
        client.decide(review["id"], "approve")
        state = way(graph, None)
        assert state["status"] == "done"
        assert state["usage"]["model_calls"] == len(team.supervisor.model.requests)  # type: ignore[union-attr]


def _written(persistence: Persistence) -> bool:
    return persistence.store.get(("orchestrator", "ledger", "t"), "worker") is not None


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_call_before_a_failure_is_counted(tmp_path: Path, way: Any) -> None:
    """The planner's first answer is no plan, and the endpoint fails when it is asked again."""
    numbers, script = itertools.count(), TeamScript([step("a")])

    def answer(request: Any) -> Any:
        number = next(numbers)
        if number == 1:
            return fail(ModelError("the endpoint is gone"))
        return script(request) if number else say("no plan")

    team = make_team(answer)
    with Persistence(tmp_path / "x.db") as persistence:
        graph = compile_graph(team, checkpointer=persistence.checkpointer, store=persistence.store)
        with pytest.raises(ModelError, match="gone"):
            way(graph, {"task": "go", "auto_approve": True})
        state = way(graph, None)
        assert state["status"] == "done"
        assert state["usage"]["model_calls"] == len(team.supervisor.model.requests)  # type: ignore[union-attr]
