"""Cancelling a run: it ends within two seconds whatever it waits for, and nothing that is finished runs again."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from orchestrator import (
    CallPolicy,
    Cancelled,
    Decision,
    Event,
    Limits,
    OrchestratorClient,
    Resilience,
    Review,
    Run,
    Supervisor,
    TaskOrchestrator,
    Team,
    UnknownThreadError,
    Worker,
)
from orchestrator.runs.interventions.cancellation import CancelResult
from orchestrator.testing import Gate, OpenAIServer, TeamScript, call, fail, say
from tests.support.endpoints import answered, model_at
from tests.support.teams import make_team, open_team, step, worked, writer

WITHIN_S = 2.0


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def cancelled_in_time(client: OrchestratorClient, running: "Future[Run]", thread_id: str = "t") -> Run:
    """Cancel a thread and return its run, which ends within the time that users are promised."""
    began = time.monotonic()
    result = client.cancel(thread_id)
    run = running.result(WITHIN_S)
    assert time.monotonic() - began < WITHIN_S
    assert result == "cancelled"
    assert run.status == "interrupted"
    assert run.is_resumable
    assert run.errors[0].startswith("cancelled by ")
    return run


class _Held:
    """Holds a run up in one way, and says when the run has come there."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.is_open = threading.Event()
        self.gate = Gate()

    def wait(self, text: str) -> str:
        """Wait and block the thread."""
        self.entered.set()
        self.is_open.wait(30)
        return f"waited for {text}"

    async def await_(self, text: str) -> str:
        """Wait on the event loop."""
        self.entered.set()
        if not self.is_open.is_set():
            await asyncio.Event().wait()  # for ever
        return f"waited for {text}"

    def ask(self, review: Review) -> Decision | None:
        """Think about a review."""
        self.entered.set()
        self.is_open.wait(30)
        return Decision(review_id=review.id, action="approve")

    def open(self) -> None:
        """Hold up nobody any more."""
        self.is_open.set()
        self.gate.release()


PLAN = [step("a"), step("b", "a", agent="tooled"), step("c", "b")]


def _tool_team(held: _Held, tool: Callable[..., Any]) -> Team:
    results = {"b": [call(tool.__name__, text="it"), say("result of b")]}
    return make_team(TeamScript(PLAN, results=results), tool)


@pytest.mark.parametrize("kind", ["wait", "await_"])
def test_a_run_whose_tool_hangs_ends_in_time(tmp_path: Path, pool: ThreadPoolExecutor, kind: str) -> None:
    held = _Held()
    tool = getattr(held, kind)
    with TaskOrchestrator(team=_tool_team(held, tool), db=tmp_path / "x.db") as one:
        running = pool.submit(one.run, "go", thread_id="t", auto_approve=True)
        assert held.entered.wait(10)
        run = cancelled_in_time(one, running)
        assert [o.id for o in run.outcomes.values()] == ["a"]
        held.open()
        assert one.resume("t").status == "done"
        assert worked(one.supervisor.model).count("a") == 1


def test_a_run_whose_model_hangs_ends_in_time(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    held = _Held()
    script = TeamScript(PLAN, results={"b": say("result of b").behind(held.gate)})
    with open_team(script, tmp_path / "x.db") as one:
        running = pool.submit(one.run, "go", thread_id="t", auto_approve=True)
        assert held.gate.entered.wait(10)
        cancelled_in_time(one, running)
        held.open()
        assert one.resume("t").status == "done"
        assert worked(one.supervisor.model).count("a") == 1


def test_a_run_whose_request_hangs_on_the_network_ends_in_time(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    with OpenAIServer(TeamScript(PLAN, results={"a": say("result of a").behind(gate)})) as server:
        model = model_at(server.base_url)
        team = Team(Supervisor(), [Worker("worker", "You work."), Worker("tooled", "You too.")], model=model)
        with TaskOrchestrator(team=team, db=tmp_path / "x.db") as one:
            running = pool.submit(one.run, "go", thread_id="t", auto_approve=True)
            assert gate.entered.wait(10)
            cancelled_in_time(one, running)
            gate.release()
            assert one.resume("t").status == "done"


def test_a_run_that_plans_ends_in_time(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    gate, script = Gate(), TeamScript(PLAN)
    with open_team(lambda r: script(r).behind(gate) if r.title == "Plan" else script(r), tmp_path / "x.db") as one:
        running = pool.submit(one.run, "go", thread_id="t", auto_approve=True)
        assert gate.entered.wait(10)
        cancelled_in_time(one, running)
        gate.release()
        assert one.resume("t").status == "done"


def test_a_run_that_waits_for_its_rate_limit_ends_in_time(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    team = make_team(TeamScript(PLAN))
    team.calls = CallPolicy(resilience=Resilience(requests_per_minute=1))
    begun = threading.Event()
    with TaskOrchestrator(team=team, db=tmp_path / "x.db") as one:
        running = pool.submit(
            one.run,
            "go",
            thread_id="t",
            auto_approve=True,
            on_event=lambda e: begun.set() if e.kind == "sub_task" else None,
        )
        assert begun.wait(10)
        cancelled_in_time(one, running)


def test_a_run_that_waits_for_a_retry_ends_in_time(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    asked = threading.Event()

    def script(request: Any) -> Any:
        asked.set()
        return fail(answered(429, {"retry-after": "50"}))

    with open_team(script, tmp_path / "x.db") as one:
        running = pool.submit(one.run, "go", thread_id="t", auto_approve=True)
        assert asked.wait(10)
        cancelled_in_time(one, running)


def test_a_run_that_waits_for_a_slot_ends_in_time(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    script = TeamScript([step("a"), step("b")], results={i: say(f"result of {i}").behind(gate) for i in "ab"})
    with open_team(script, tmp_path / "x.db", limits=Limits(parallel_workers=1)) as one:
        running = pool.submit(one.run, "go", thread_id="t", auto_approve=True)
        assert gate.entered.wait(10)
        cancelled_in_time(one, running)
        gate.release()
        assert one.resume("t").status == "done"


def test_a_run_that_asks_a_person_ends_in_time(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    held = _Held()
    with open_team(TeamScript(PLAN), tmp_path / "x.db") as one:
        running = pool.submit(one.run, "go", thread_id="t", on_review=held.ask)
        assert held.entered.wait(10)
        run = cancelled_in_time(one, running)
        held.open()
        assert [review.kind for review in run.reviews] == ["plan"]
        one.decide(run.reviews[0], "approve")
        assert one.resume("t").status == "done"


def test_an_effect_that_was_cut_off_keeps_its_rule(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    held, effects = _Held(), []
    write = writer(effects)
    inner = write.func

    def slow(text: str) -> str:
        answer = inner(text)
        held.wait(text)
        return answer

    write.func = slow
    team = make_team(TeamScript(PLAN, results={"b": [call("write", text="it"), say("result of b")]}), write)
    with TaskOrchestrator(team=team, db=tmp_path / "x.db") as one:
        run = one.run("go", thread_id="t")
        one.decide(run.reviews[0], "approve")
        (review,) = one.resume("t").reviews
        one.decide(review, "approve")
        running = pool.submit(one.resume, "t")
        assert held.entered.wait(10)
        cancelled_in_time(one, running)
        held.open()
        (repeat,) = one.resume("t").reviews
        assert "may have had its effect or not" in repeat.stake
        one.decide(repeat, "reject", "it has")
        assert one.resume("t").status == "done"
        assert effects == ["it"]


def test_a_stream_ends_with_the_event_and_the_run(tmp_path: Path) -> None:
    gate = Gate()
    script = TeamScript(PLAN, results={"a": say("result of a").behind(gate)})
    with open_team(script, tmp_path / "x.db") as one, OrchestratorClient(one.persistence) as client:
        items: list[Event | Run] = []
        asked: list[threading.Thread] = []
        for item in one.stream("go", thread_id="t", auto_approve=True):
            items.append(item)
            if not asked and isinstance(item, Event) and item.kind == "sub_task":
                asked.append(threading.Thread(target=client.cancel, args=("t",)))
                asked[0].start()
        asked[0].join()
        assert isinstance(items[-2], Cancelled)
        assert isinstance(items[-1], Run)
        assert items[-1].status == "interrupted"


def test_a_run_on_the_callers_own_loop_is_cancelled_and_its_task_goes_on(tmp_path: Path) -> None:
    gate = Gate()
    script = TeamScript(PLAN, results={"a": say("result of a").behind(gate)})

    async def main(one: TaskOrchestrator) -> Run:
        running = asyncio.ensure_future(one.arun("go", thread_id="t", auto_approve=True))
        assert await asyncio.to_thread(gate.entered.wait, 10)
        assert await one.acancel("t") == "cancelled"
        run = await running
        assert not running.cancelled()
        return run

    with open_team(script, tmp_path / "x.db") as one:
        assert asyncio.run(main(one)).status == "interrupted"


def test_a_cancellation_by_the_caller_stays_one(tmp_path: Path) -> None:
    gate = Gate()
    script = TeamScript(PLAN, results={"a": say("result of a").behind(gate)})

    async def main(one: TaskOrchestrator) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await one.arun("go", thread_id="t", auto_approve=True)

    with open_team(script, tmp_path / "x.db") as one:
        asyncio.run(main(one))
        assert one.show("t").status == "interrupted"
        assert one.show("t").errors == ()


def test_a_thread_that_is_not_running_is_left_alone(tmp_path: Path) -> None:
    with open_team(TeamScript(PLAN), tmp_path / "x.db") as one:
        with pytest.raises(UnknownThreadError):
            one.cancel("t")
        run = one.run("go", thread_id="t")
        assert one.cancel("t") == "not running"
        one.decide(run.reviews[0], "approve")
        assert one.resume("t").status == "done"
        assert one.cancel("t") == "not running"
        assert one.show("t").status == "done"


def test_everybody_sees_who_cancelled_until_the_thread_is_resumed(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    script = TeamScript(PLAN, results={"a": say("result of a").behind(gate)})
    with open_team(script, tmp_path / "x.db") as one:
        running = pool.submit(one.run, "go", thread_id="t", auto_approve=True)
        assert gate.entered.wait(10)
        run = cancelled_in_time(one, running)
        with OrchestratorClient(tmp_path / "x.db") as other:
            assert (other.show("t").status, other.show("t").errors) == ("interrupted", run.errors)
            assert [record.status for record in other.threads()] == ["interrupted"]
        gate.release()
        assert one.resume("t").errors == ()
        assert one.show("t").errors == ()


def test_of_two_that_cancel_neither_waits_in_vain(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    script = TeamScript(PLAN, results={"a": say("result of a").behind(gate)})
    with open_team(script, tmp_path / "x.db") as one, OrchestratorClient(tmp_path / "x.db") as other:
        running = pool.submit(one.run, "go", thread_id="t", auto_approve=True)
        assert gate.entered.wait(10)
        both: list[Future[CancelResult]] = [pool.submit(each.cancel, "t") for each in (one, other)]
        assert running.result(WITHIN_S).status == "interrupted"
        # The second may come when the run has ended by the order of the first.
        results = sorted(each.result(WITHIN_S) for each in both)
        assert results in (["cancelled", "cancelled"], ["cancelled", "not running"])


def test_an_order_to_an_earlier_run_does_not_reach_a_later_one(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    first, second = Gate(), Gate()
    script = TeamScript(PLAN, results={"a": say("result of a").behind(first), "c": say("it").behind(second)})
    with open_team(script, tmp_path / "x.db") as one:
        running = pool.submit(one.run, "go", thread_id="t", auto_approve=True)
        assert first.entered.wait(10)
        cancelled_in_time(one, running)
        first.release()
        # The order is still in the store. The next run meets it at its first look, which is forced here.
        resumed = pool.submit(one.resume, "t")
        assert second.entered.wait(10)
        one.persistence.watch.look()
        with pytest.raises(TimeoutError):
            resumed.result(0.7)
        second.release()
        assert resumed.result(10).status == "done"


def test_other_runs_of_the_process_go_on(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    script = TeamScript(PLAN, results={"a": say("result of a").behind(gate)})
    with open_team(script, tmp_path / "x.db") as one:
        runs = {name: pool.submit(one.run, "go", thread_id=name, auto_approve=True) for name in ("t", "u")}
        while sum("Sub-task a" in r.last_user for r in one.supervisor.model.requests) < 2:  # type: ignore[attr-defined]
            time.sleep(0.01)
        cancelled_in_time(one, runs["t"])
        gate.release()
        assert runs["u"].result(10).status == "done"


def test_a_deleted_thread_leaves_no_order_behind(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    script = TeamScript(PLAN, results={"a": say("result of a").behind(gate)})
    with open_team(script, tmp_path / "x.db") as one:
        running = pool.submit(one.run, "go", thread_id="t", auto_approve=True)
        assert gate.entered.wait(10)
        cancelled_in_time(one, running)
        gate.release()
        one.delete("t")
        assert one.persistence.store.search(("orchestrator",), limit=100) == []


def test_a_callback_that_blocks_the_loop_is_told_as_it_is(
    tmp_path: Path, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.runs.interventions.cancellation._PATIENCE_S", 1.0)
    held = _Held()

    def block(event: Event) -> None:
        if event.kind == "round":
            held.wait("")

    with open_team(TeamScript(PLAN), tmp_path / "x.db") as one, OrchestratorClient(tmp_path / "x.db") as other:

        def run() -> Run:
            return asyncio.run(one.arun("go", thread_id="t", auto_approve=True, on_event=block))

        running = pool.submit(run)
        assert held.entered.wait(10)
        assert other.cancel("t") == "asked"  # it is asked as soon as its loop is free
        held.open()
        assert running.result(WITHIN_S).status == "interrupted"
