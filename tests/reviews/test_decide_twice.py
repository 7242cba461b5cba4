"""Two answers to one review: exactly one stands, the other caller is told, and a stop is never lost."""

import asyncio
import contextlib
import multiprocessing
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from langgraph.store.base import BaseStore, Op, PutOp, Result
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command

from orchestrator import Decision, Persistence, Review, TaskOrchestrator
from orchestrator.concurrency import AWAITING
from orchestrator.errors import DecisionError
from orchestrator.graph.build import compile_graph
from orchestrator.persistence.sqlite.store import Store
from orchestrator.reviews.decisions import is_stopped, record_decision, recorded_decision
from orchestrator.runs.client import OrchestratorClient
from orchestrator.testing import TeamScript, call, say
from tests.support.teams import model_of, open_team, step, worked, writer


def decide_at_gate(path: Path, review_id: str, action: Any, gate: Any, answers: Any) -> None:
    """Decides in a process of its own; both processes have looked before either writes."""
    batch, insert = Store.batch, Store.insert_if_absent

    def gated_batch(self: Store, ops: Iterable[Op]) -> list[Result]:
        listed = list(ops)
        if any(isinstance(op, PutOp) for op in listed):
            gate.wait(60)
        return batch(self, listed)

    def gated_insert(self: Store, op: PutOp, also: Sequence[PutOp] = ()) -> Any:
        gate.wait(60)
        return insert(self, op, also)

    Store.batch, Store.insert_if_absent = gated_batch, gated_insert  # type: ignore[method-assign]
    with OrchestratorClient(Persistence(str(path))) as client:
        try:
            client.decide(review_id, action, "because")
            answers.put((action, ""))
        except DecisionError as error:
            answers.put((action, str(error)))


@pytest.mark.parametrize("others", ["reject", "approve"])
def test_of_two_processes_that_decide_at_once_one_is_told_of_the_other(tmp_path: Path, others: str) -> None:
    path = tmp_path / "x.db"
    with open_team(TeamScript([step("a")]), path) as team:
        (review,) = team.run("task", thread_id="t").reviews
        context = multiprocessing.get_context("forkserver")
        gate, answers = context.Barrier(2), context.Queue()
        children = [
            context.Process(target=decide_at_gate, args=(path, review.id, action, gate, answers))
            for action in ("stop", others)
        ]
        for child in children:
            child.start()
        told = dict(answers.get(timeout=60) for _ in children)
        for child in children:
            child.join(60)
        (winner,) = [action for action, problem in told.items() if not problem]
        (refusal,) = [problem for problem in told.values() if problem]
        assert f"has already been answered with '{winner}' at 2" in refusal
        assert "because" in refusal
        assert team.resume("t").status == {"stop": "stopped", "reject": "waiting", "approve": "done"}[winner]


def test_the_second_is_told_who_decided_what_and_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        (review,) = team.run("task", thread_id="t").reviews
        monkeypatch.setenv("LOGNAME", "ada")
        team.decide(review.id, "stop", "too dear")
        with pytest.raises(
            DecisionError, match=r"answered with 'stop' at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC by ada: too dear$"
        ):
            team.decide(review.id, "approve")
        team.decide(review.id, "stop", "too dear")  # the same again is acknowledged
        assert team.resume("t").status == "stopped"


class GatedStore(BaseStore):
    """Somebody else's store, without our insertion; `before_put` is awaited before a write of a decision."""

    def __init__(self) -> None:
        self.inner = InMemoryStore()
        self.before_put: Callable[[dict[str, Any]], Awaitable[None]] | None = None

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        return self.inner.batch(ops)

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        listed = list(ops)
        for op in listed:
            if isinstance(op, PutOp) and op.value is not None and self.before_put is not None:
                await self.before_put(op.value)
        return self.inner.batch(listed)


@pytest.mark.parametrize("late", ["approve", "stop"])
def test_in_a_foreign_store_a_stop_survives_whichever_is_written_last(late: str) -> None:
    review = Review(id="t/tool-1", kind="tool", question="May it?")

    async def race() -> tuple[str, bool, list[str]]:
        store, looked, first_done = GatedStore(), asyncio.Event(), asyncio.Event()

        async def hold(value: dict[str, Any]) -> None:
            if value.get("action") == late and not looked.is_set():
                looked.set()
                await first_done.wait()

        store.before_put = hold
        acknowledged: list[str] = []

        async def decide(action: Any) -> None:
            with contextlib.suppress(DecisionError):
                await record_decision(AWAITING, store, review, Decision(review_id=review.id, action=action))
                acknowledged.append(action)

        second = asyncio.create_task(decide(late))
        await looked.wait()
        await decide("stop" if late == "approve" else "approve")
        first_done.set()
        await second
        standing = await recorded_decision(AWAITING, store, review)
        assert standing is not None
        return standing.action, await is_stopped(AWAITING, store, "t"), acknowledged

    action, stopped, acknowledged = asyncio.run(race())
    assert action == "stop"
    assert stopped
    assert "stop" in acknowledged
    if late == "approve":
        assert acknowledged == ["stop"]


def paused_at_a_tool(path: Path, effects: list[str]) -> TaskOrchestrator:
    script = TeamScript([step("a", agent="tooled")], results={"a": [call("write", text="x"), say("done")]})
    return open_team(script, path, writer(effects))


def test_a_stop_beats_an_answer_that_langgraph_resumes_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    effects: list[str] = []
    with paused_at_a_tool(tmp_path / "x.db", effects) as team:
        (plan,) = team.run("task", thread_id="t").reviews
        team.decide(plan.id, "approve")
        (review,) = team.resume("t").reviews
        insert = Store.insert_if_absent

        def stop_first(self: Store, op: PutOp, also: Sequence[PutOp] = ()) -> Any:
            monkeypatch.setattr(Store, "insert_if_absent", insert)
            insert(self, PutOp(op.namespace, op.key, {"review_id": review.id, "action": "stop"}))
            return insert(self, op, also)

        monkeypatch.setattr(Store, "insert_if_absent", stop_first)
        answer = {"review_id": review.id, "action": "approve"}
        team.graph.invoke(Command(resume=answer), team._states.config("t"))
        assert effects == []
        assert team.resume("t").status == "stopped"


def test_an_answer_that_langgraph_resumes_with_is_told_to_whoever_decides_afterwards(tmp_path: Path) -> None:
    effects: list[str] = []
    with paused_at_a_tool(tmp_path / "x.db", effects) as team:
        (plan,) = team.run("task", thread_id="t").reviews
        team.decide(plan.id, "approve")
        (review,) = team.resume("t").reviews
        team.graph.invoke(Command(resume={"review_id": review.id, "action": "approve"}), team._states.config("t"))
        assert effects == ["x"]
        late = record_decision(AWAITING, team.persistence.store, review, Decision(review_id=review.id, action="stop"))
        with pytest.raises(DecisionError, match=r"answered with 'approve' at \d{4}"):
            asyncio.run(late)


def test_time_travel_asks_again_what_was_answered_by_a_resume_value(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        (review,) = team.run("task", thread_id="t").reviews
        config = team._states.config("t")
        graph = compile_graph(team.team, checkpointer=team.persistence.checkpointer, store=team.persistence.store)
        graph.invoke(Command(resume={"review_id": review.id, "action": "stop"}), config)
        assert team.show("t").status == "stopped"
        before = next(s for s in graph.get_state_history(config) if s.next == ("approve_plan",))
        graph.invoke(None, before.config)
        assert team.reviews("t") == [review]
        graph.invoke(Command(resume={"review_id": review.id, "action": "approve"}), config)
        assert team.show("t").status == "done"
        assert worked(model_of(team)) == ["a"]
