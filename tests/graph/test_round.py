"""The round on a virtual clock: the makespan is the critical path, and every sub-task runs once, whatever pauses."""

import asyncio
import selectors
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore

from orchestrator import Decision, Limits, Plan, Review, Supervisor, Team, Worker, compile_graph, declare
from orchestrator.concurrency import AWAITING, BLOCKING, run_blocking
from orchestrator.events import ReviewAsked, parse_event
from orchestrator.graph.round import Round
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.reviews.decisions import record_decision
from orchestrator.testing import ScriptedModel, TeamScript, call, say
from tests.support.running import LIMIT_S
from tests.support.strategies import plans
from tests.support.teams import statuses, step, worked

THREAD: Any = {"configurable": {"thread_id": "thread"}}


class VirtualClock(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__(_Jumping(self))
        self.now = 0.0

    def time(self) -> float:
        return self.now


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop: VirtualClock) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if timeout:
            self._loop.now += timeout
        return super().select(0 if timeout is not None else None)


def on_virtual_clock(work: Callable[[], Coroutine[Any, Any, Any]]) -> tuple[Any, float]:
    """The coroutine's result, and the virtual seconds that it took."""
    loop = VirtualClock()
    try:
        return loop.run_until_complete(work()), loop.now
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


class TimedModel(ScriptedModel):
    """A scripted model whose workers take their time, and that notes when they begin and end."""

    durations: dict[str, float]
    spans: dict[str, list[tuple[float, float]]]
    disable_streaming: bool = True  # a streamed answer would go past `_agenerate`

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        found = worked_by(messages)
        loop = asyncio.get_running_loop()
        begin = loop.time()
        if found:
            await asyncio.sleep(self.durations.get(found, 0))
        answer = await super()._agenerate(messages, *args, **kwargs)
        if found:
            self.spans.setdefault(found, []).append((begin, loop.time()))
        return answer


def worked_by(messages: list[BaseMessage]) -> str:
    import re

    asked = next((message for message in reversed(messages) if message.type == "human"), messages[-1])
    ids = re.findall(r"^Sub-task ([\w-]+)", str(asked.text), re.M)
    return str(ids[-1]) if ids else ""


@pytest.fixture(autouse=True)
def recall_on_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in another thread takes no virtual time, so the clock would jump while it lasts."""

    async def at_once(_: object, function: Callable[[], Any]) -> Any:
        return function()

    monkeypatch.setattr(type(AWAITING), "offload", at_once)


def timed_team(plan: Plan, durations: dict[str, float], parallel: int = 64) -> tuple[Team, TimedModel]:
    script = TeamScript([task.model_dump(mode="json", exclude={"attempt", "feedback"}) for task in plan.sub_tasks])
    model = TimedModel(script, durations=durations, spans={})
    limits = Limits(parallel_workers=parallel)
    return Team(Supervisor(), [Worker("worker", "You work.")], model=model, limits=limits), model


def a_graph(team: Team) -> Any:
    return compile_graph(team, checkpointer=InMemorySaver())


# Shrinking runs a graph hundreds of times; a found case is told as it is.
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)
DURATIONS = st.integers(0, 9).map(float)


@settings(max_examples=40, phases=UNSHRUNK)
@given(plans(max_size=10), st.data())
def test_the_makespan_is_the_critical_path(plan: Plan, data: st.DataObject) -> None:
    durations = {i: data.draw(DURATIONS) for i in plan.by_id}
    team, model = timed_team(plan, durations)
    graph = a_graph(team)
    state, took = on_virtual_clock(lambda: graph.ainvoke({"task": "go", "auto_approve": True}, THREAD))
    assert state["status"] == "done"
    assert took == pytest.approx(plan.critical_path(durations)[1])
    assert all(len(spans) == 1 for spans in model.spans.values())
    for task in plan.sub_tasks:
        for dep in task.depends_on:
            assert model.spans[dep][0][1] <= model.spans[task.id][0][0]


@settings(max_examples=25, phases=UNSHRUNK)
@given(plans(max_size=10), st.integers(1, 3), st.data())
def test_the_limit_on_parallel_workers_holds_and_never_counts_the_waiting(
    plan: Plan, parallel: int, data: st.DataObject
) -> None:
    durations = {i: data.draw(st.integers(1, 9)) * 1.0 for i in plan.by_id}
    team, model = timed_team(plan, durations, parallel)
    graph = a_graph(team)
    _, took = on_virtual_clock(lambda: graph.ainvoke({"task": "go", "auto_approve": True}, THREAD))
    spans = [span for found in model.spans.values() for span in found]
    assert max(sum(a <= at < b for a, b in spans) for at, _ in spans) <= parallel
    # Graham's bound for list scheduling: nobody idles while something is ready.
    longest, work = plan.critical_path(durations)[1], sum(durations.values())
    assert took <= work / parallel + longest * (1 - 1 / parallel) + 1e-6


@settings(max_examples=25, phases=UNSHRUNK)
@given(plans(max_size=8), st.data())
def test_random_pauses_end_and_every_sub_task_runs_once(plan: Plan, data: st.DataObject) -> None:
    approval = data.draw(st.sets(st.sampled_from(sorted(plan.by_id))))
    marked = plan.replace(*(plan.by_id[i].model_copy(update={"requires_approval": True}) for i in approval))
    team, model = timed_team(marked, {i: data.draw(DURATIONS) for i in plan.by_id})
    graph = a_graph(team)

    async def drive() -> Any:
        from langgraph.types import Command

        await graph.ainvoke({"task": "go"}, THREAD)
        snapshot = await graph.aget_state(THREAD)
        review = snapshot.values["review"]["id"]
        value: Any = Command(resume={"review_id": review, "action": "approve"})
        for _ in range(3 * len(approval) + 3):
            await graph.ainvoke(value, THREAD)
            snapshot = await graph.aget_state(THREAD)
            if not snapshot.next:
                return snapshot.values
            asked = {i.value["sub_task_id"]: i for i in snapshot.interrupts}
            done = set(model.spans)
            blocked = {d for a in asked for d in marked.dependents(a)}
            assert done | blocked == set(marked.by_id), "something that nothing blocks was not done"
            chosen = data.draw(st.sampled_from(sorted(asked)))
            answer = {"review_id": asked[chosen].value["id"], "action": "approve"}
            value = Command(resume={asked[chosen].id: answer})
        raise AssertionError("it did not end")

    state, _ = on_virtual_clock(drive)
    assert state["status"] == "done"
    assert set(statuses(state["outcomes"]).values()) == {"succeeded"}
    assert sorted(worked(model)) == sorted(marked.by_id)


@settings(max_examples=40, phases=UNSHRUNK)
@given(plans(max_size=8), st.data())
def test_the_makespan_is_the_critical_path_with_the_time_that_humans_take(plan: Plan, data: st.DataObject) -> None:
    approval = data.draw(st.sets(st.sampled_from(sorted(plan.by_id))))
    marked = plan.replace(*(plan.by_id[i].model_copy(update={"requires_approval": True}) for i in approval))
    durations = {i: data.draw(DURATIONS) for i in plan.by_id}
    thinking = {i: data.draw(DURATIONS) if i in approval else 0.0 for i in plan.by_id}
    rejected = data.draw(st.sets(st.sampled_from(sorted(approval)))) if approval else set()
    team, model = timed_team(marked, durations)
    team.limits = team.limits.model_copy(update={"attempts": 1})
    store = InMemoryStore()
    graph = compile_graph(team, checkpointer=InMemorySaver(), store=store)
    human = Human(store, thinking, rejected)
    state, took = on_virtual_clock(lambda: human.drive(graph, marked))
    assert sorted(worked(model)) == sorted(i for i in marked.by_id if not rejected & marked.ancestors(i))
    assert sorted(model.spans) == sorted(worked(model)), "the time of each is measured"
    ended = {i: model.spans[i][0][1] + thinking[i] for i in model.spans}
    for i, [(begin, _)] in model.spans.items():
        assert begin == pytest.approx(max((ended[dep] for dep in marked.by_id[i].depends_on), default=0.0))
    if not rejected:
        assert state["status"] == "done"
        assert took == pytest.approx(plan.critical_path({i: durations[i] + thinking[i] for i in durations})[1])


def test_a_branch_that_has_its_answer_waits_for_a_slot_again() -> None:
    @tool
    async def write(text: str) -> str:
        """Writes."""
        return "written"

    script = TeamScript([], results={"a": [call("write", text="x"), say("a")]})
    model = TimedModel(script, durations={"a": 1, "b": 10}, spans={})
    workers = [Worker("worker", "You work."), Worker("tooled", "You write.", tools=[declare(write, risk="write")])]
    team = Team(Supervisor(), workers, model=model, limits=Limits(parallel_workers=1))
    store = InMemoryStore()
    graph = compile_graph(team, checkpointer=InMemorySaver(), store=store)
    plan = Plan.parse([step("a", agent="tooled"), step("b")])
    state, _ = on_virtual_clock(lambda: Human(store, {"a": 2}, set()).drive(graph, plan))
    assert state["status"] == "done"
    assert model.spans == {"a": [(0, 1), (11, 12)], "b": [(1, 11)]}


class Human:
    """Answers each review some time after it was asked, whether the run goes on meanwhile or has paused."""

    def __init__(self, store: BaseStore, thinking: dict[str, float], rejected: set[str]) -> None:
        self.asked: list[str] = []
        self._store = store
        self._thinking = thinking
        self._rejected = rejected
        self._decided = asyncio.Event()
        self._done: set[str] = set()
        self._answers: list[asyncio.Task[None]] = []

    async def drive(self, graph: Any, plan: Plan) -> Any:
        value: Any = {"task": "go", "given_plan": plan.plain()}
        while True:
            self._decided.clear()
            announced: set[str] = set()
            async for chunk in graph.astream(value, THREAD, stream_mode="custom"):
                if isinstance(event := parse_event(chunk), ReviewAsked):
                    assert event.review.id not in announced, "it is announced once"
                    announced.add(event.review.id)
                    self._hear(event.review)
            snapshot = await graph.aget_state(THREAD)
            if not snapshot.interrupts:
                return snapshot.values
            for interrupt in snapshot.interrupts:
                self._hear(Review.of_payload(interrupt.value))
            open_ids = {interrupt.value["id"] for interrupt in snapshot.interrupts}
            if not open_ids & self._done:
                await self._decided.wait()
            value = None

    def _hear(self, review: Review) -> None:
        if review.id not in self.asked:
            self.asked.append(review.id)
            self._answers.append(asyncio.ensure_future(self._answer(review)))

    async def _answer(self, review: Review) -> None:
        await asyncio.sleep(self._thinking[review.sub_task_id])
        no = review.sub_task_id in self._rejected
        decision = Decision(review_id=review.id, action="reject" if no else "approve", text="no" if no else "")
        await record_decision(AWAITING, self._store, review, decision)
        self._done.add(review.id)
        self._decided.set()


def make_round(slots: int = 1) -> Round:
    return Round(SharedMemory(InMemoryStore(), "t"), BLOCKING.lock(), slots)


def test_waiting_for_what_has_signalled_already_returns_at_once() -> None:
    made = make_round()
    made.enter("a")
    made.leave("a", "succeeded")
    run_blocking(made.wait_for_any(BLOCKING, ["a"]))
    assert made.signal_of("a") == "succeeded"


def test_a_signal_that_comes_while_a_node_begins_to_wait_for_it_is_not_missed() -> None:
    made, waited = make_round(), threading.Event()
    made.enter("a")
    made.enter("b")

    class Needs(list[str]):
        """The ids, which the round reads twice: before it looks for signals, and before it registers the wait."""

        reads = 0

        def __iter__(self) -> Iterator[str]:
            self.reads += 1
            if self.reads == 2:
                leaving.start()
                leaving.join(0.2)  # without a lock, `a` has left before the wait for it is registered
            return super().__iter__()

    def wait() -> None:
        run_blocking(made.wait_for_any(BLOCKING, Needs(["a"])))
        waited.set()

    leaving = threading.Thread(target=made.leave, args=("a", "succeeded"), daemon=True)
    threading.Thread(target=wait, daemon=True).start()
    assert waited.wait(LIMIT_S), "the signal was missed"
    assert made.signal_of("a") == "succeeded"


async def test_a_cancelled_wait_for_a_slot_gives_it_on() -> None:
    made = make_round(slots=1)
    await made.acquire_slot(AWAITING, 1)
    first = asyncio.ensure_future(made.acquire_slot(AWAITING, 9))
    second = asyncio.ensure_future(made.acquire_slot(AWAITING, 1))
    await asyncio.sleep(0)
    made.release_slot()
    first.cancel()
    await asyncio.wait_for(second, 5)
    made.release_slot()
    await asyncio.wait_for(made.acquire_slot(AWAITING, 1), 5)


async def test_slots_go_to_the_highest_rank_first() -> None:
    made, order = make_round(slots=1), []

    async def take(name: str, rank: int) -> None:
        await made.acquire_slot(AWAITING, rank)
        order.append(name)
        made.release_slot()

    await made.acquire_slot(AWAITING, 0)
    tasks = [asyncio.ensure_future(take(name, rank)) for name, rank in (("low", 1), ("high", 5), ("middle", 3))]
    await asyncio.sleep(0)
    made.release_slot()
    await asyncio.gather(*tasks)
    assert order == ["high", "middle", "low"]
