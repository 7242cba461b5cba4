"""Cancelling a graph that its user invokes: on threads and on a loop, from any process, and resumable."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphDrained
from langgraph.graph import END, START, StateGraph
from langgraph.store.memory import InMemoryStore
from langgraph.types import RetryPolicy
from typing_extensions import TypedDict

from orchestrator import CallPolicy, Limits, OrchestratorClient, Persistence, Resilience, Team, Worker, compile_graph
from orchestrator.testing import Gate, TeamScript, call, fail, say
from tests.support.endpoints import answered
from tests.support.teams import make_team, statuses, step, worked, writer

WITHIN_S = 2.0
CONFIG: Any = {"configurable": {"thread_id": "t"}}
TASK = {"task": "go", "auto_approve": True}
PLAN = [step("a"), step("b", "a", agent="tooled"), step("c", "b"), step("d")]

Start = Callable[[Any, Any], Any]


def streamed(graph: Any, value: Any) -> Any:
    return list(graph.stream(value, CONFIG, stream_mode="values"))[-1]


async def astreamed(graph: Any, value: Any) -> Any:
    return [state async for state in graph.astream(value, CONFIG, stream_mode="values")][-1]


STARTS: dict[str, Start] = {
    "invoke": lambda graph, value: graph.invoke(value, CONFIG),
    "stream": streamed,
    "ainvoke": lambda graph, value: asyncio.run(graph.ainvoke(value, CONFIG)),
    "astream": lambda graph, value: asyncio.run(astreamed(graph, value)),
}
BOTH = pytest.mark.parametrize("start", [STARTS["invoke"], STARTS["ainvoke"]], ids=["threads", "loop"])


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture
def persistence(tmp_path: Path) -> Iterator[Persistence]:
    with Persistence(tmp_path / "x.db") as persistence:
        yield persistence


def graph_of(team: Team, persistence: Persistence) -> Any:
    return compile_graph(team, checkpointer=persistence.checkpointer, store=persistence.store)


def cancelled_in_time(running: "Future[Any]", tmp_path: Path) -> GraphDrained:
    """Cancel as another process does, over a connection of its own."""
    with OrchestratorClient(tmp_path / "x.db") as client:
        began = time.monotonic()
        cancelled = client.cancel("t")
        with pytest.raises(GraphDrained) as raised:
            running.result(WITHIN_S)
        assert time.monotonic() - began < WITHIN_S
        assert cancelled == "cancelled"
        assert client.show("t").is_resumable
        return raised.value


class Held:
    """Holds a run up at a tool, a model call or a wait, and says when it has come there."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.is_open = threading.Event()
        self.gate = Gate()

    def wait(self, text: str) -> str:
        """Wait and block the thread."""
        self.entered.set()
        self.is_open.wait(30)
        return f"waited for {text}"

    def open(self) -> None:
        self.is_open.set()
        self.gate.release()


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_a_run_whose_tool_hangs_ends_and_goes_on(
    tmp_path: Path, persistence: Persistence, pool: ThreadPoolExecutor, start: Start
) -> None:
    held = Held()
    team = make_team(TeamScript(PLAN, results={"b": [call("wait", text="it"), say("result of b")]}), held.wait)
    graph = graph_of(team, persistence)
    running = pool.submit(start, graph, TASK)
    assert held.entered.wait(10)
    error = cancelled_in_time(running, tmp_path)
    assert error.reason.startswith("cancelled by ")
    assert error.reason.endswith("; invoke the graph with None as its input to go on")
    held.open()
    state = start(graph, None)
    assert (state["status"], statuses(state["results"])) == ("done", dict.fromkeys("abcd", "succeeded"))
    assert [worked(team.supervisor.model).count(i) for i in "acd"] == [1, 1, 1]


@BOTH
@pytest.mark.parametrize("title", ["Plan", "b", "Answer"])
def test_a_run_whose_model_hangs_ends_and_goes_on(
    tmp_path: Path, persistence: Persistence, pool: ThreadPoolExecutor, start: Start, title: str
) -> None:
    gate, script = Gate(), TeamScript(PLAN)

    def slow(request: Any) -> Any:
        of_b = request.last_user.startswith("Sub-task b") or "\nSub-task b" in request.last_user
        is_it = of_b if title == "b" else (request.title == "Plan" if title == "Plan" else "[t" in request.text)
        if title == "Answer":
            is_it = not request.schema and "Sub-task" not in request.last_user
        return script(request).behind(gate) if is_it else script(request)

    graph = graph_of(make_team(slow), persistence)
    running = pool.submit(start, graph, TASK)
    assert gate.entered.wait(10)
    cancelled_in_time(running, tmp_path)
    gate.release()
    assert start(graph, None)["status"] == "done"


@BOTH
def test_a_run_that_waits_ends(
    tmp_path: Path, persistence: Persistence, pool: ThreadPoolExecutor, start: Start
) -> None:
    """One worker waits for a retry, one for a slot, and one for its dependency."""
    asked, script = threading.Event(), TeamScript([step("a"), step("b"), step("c", "a")])

    def limited(request: Any) -> Any:
        if "Sub-task" not in request.last_user:
            return script(request)
        asked.set()
        return fail(answered(429, {"retry-after": "50"}))

    graph = graph_of(make_team(limited, limits=Limits(parallel_workers=1)), persistence)
    running = pool.submit(start, graph, TASK)
    assert asked.wait(10)
    cancelled_in_time(running, tmp_path)


@BOTH
def test_a_run_that_waits_for_its_rate_limit_ends(
    tmp_path: Path, persistence: Persistence, pool: ThreadPoolExecutor, start: Start
) -> None:
    team, script, planned = make_team(lambda r: reply(r)), TeamScript(PLAN), threading.Event()

    def reply(request: Any) -> Any:
        planned.set()
        return script(request)

    team.calls = CallPolicy(resilience=Resilience(requests_per_minute=1))
    running = pool.submit(start, graph_of(team, persistence), TASK)
    assert planned.wait(10)
    cancelled_in_time(running, tmp_path)


@BOTH
def test_a_graph_as_a_worker_ends_too(
    tmp_path: Path, persistence: Persistence, pool: ThreadPoolExecutor, start: Start
) -> None:
    held, later = Held(), []

    class Own(TypedDict, total=False):
        text: str

    def first(state: Own) -> Own:
        held.wait("")
        return {"text": "x"}

    async def afirst(state: Own) -> Own:  # asyncio's executor would keep `asyncio.run` from ending
        held.entered.set()
        if not held.is_open.is_set():
            await asyncio.Event().wait()
        return {"text": "x"}

    def second(state: Own) -> Own:
        later.append(held.is_open.is_set())
        return {"text": "a result"}

    own: Any = StateGraph(Own)
    own.add_node("first", RunnableLambda(first, afirst))
    own.add_node("second", second)
    own.add_edge(START, "first")
    own.add_edge("first", "second")
    own.add_edge("second", END)
    guest = Worker.of(
        own.compile(),
        name="own",
        description="Works.",
        input=lambda message: {"text": message},
        output=lambda state: state["text"],
    )
    team = Team(make_team(TeamScript([step("a", agent="own")])).supervisor, [guest])
    graph = graph_of(team, persistence)
    running = pool.submit(start, graph, TASK)
    assert held.entered.wait(10)
    cancelled_in_time(running, tmp_path)
    held.open()
    assert start(graph, None)["status"] == "done"
    assert later == [True]


@BOTH
def test_an_effect_that_was_cut_off_is_asked_about(
    tmp_path: Path, persistence: Persistence, pool: ThreadPoolExecutor, start: Start
) -> None:
    held, effects = Held(), []
    write = writer(effects)
    inner = write.func  # type: ignore[attr-defined]

    def slow(text: str) -> str:
        answer = inner(text)
        held.wait(text)
        return str(answer)

    write.func = slow  # type: ignore[attr-defined]
    team = make_team(
        TeamScript([step("b", agent="tooled")], results={"b": [call("write", text="it"), say("b")]}), write
    )
    graph = graph_of(team, persistence)
    [plan] = start(graph, {"task": "go"})["reviews"]
    with OrchestratorClient(persistence) as client:
        client.decide(plan["id"], "approve")
        [wanted] = start(graph, None)["reviews"]
        client.decide(wanted["id"], "approve")
        running = pool.submit(start, graph, None)
        assert held.entered.wait(10)
        cancelled_in_time(running, tmp_path)
        held.open()
        [repeat] = start(graph, None)["reviews"]
        assert "may have had its effect or not" in repeat["stake"]
        client.decide(repeat["id"], "reject", "it has")
        assert start(graph, None)["status"] == "done"
    assert effects == ["it"]


@BOTH
def test_in_a_graph_of_the_users_the_whole_run_ends_and_no_retry_repeats_it(
    tmp_path: Path, persistence: Persistence, pool: ThreadPoolExecutor, start: Start
) -> None:
    held = Held()

    class Outer(TypedDict, total=False):
        task: str
        auto_approve: bool
        answer: str
        letter: str

    team = make_team(TeamScript(PLAN, results={"b": [call("wait", text="it"), say("result of b")]}), held.wait)
    outer: Any = StateGraph(Outer)
    outer.add_node("team", compile_graph(team), retry_policy=RetryPolicy())
    outer.add_node("write", lambda state: {"letter": state["answer"]})
    outer.add_edge(START, "team")
    outer.add_edge("team", "write")
    outer.add_edge("write", END)
    graph = outer.compile(checkpointer=persistence.checkpointer, store=persistence.store)
    running = pool.submit(start, graph, TASK)
    assert held.entered.wait(10)
    cancelled_in_time(running, tmp_path)
    held.open()
    assert start(graph, None)["letter"]
    assert worked(team.supervisor.model).count("a") == 1


@BOTH
def test_an_order_whose_giver_was_killed_reaches_no_later_run(
    persistence: Persistence, pool: ThreadPoolExecutor, start: Start
) -> None:
    gate = Gate()
    persistence.store.put(("orchestrator", "cancel"), "t", {"run": "any 1", "by": "somebody", "beat": 3})
    graph = graph_of(make_team(TeamScript(PLAN, results={"a": say("result of a").behind(gate)})), persistence)
    running = pool.submit(start, graph, TASK)
    assert gate.entered.wait(10)
    for _ in range(3):
        persistence.watch.look()
        with pytest.raises(TimeoutError):
            running.result(0.2)
    gate.release()
    assert running.result(10)["status"] == "done"


@BOTH
def test_an_order_that_has_ended_a_run_does_not_end_the_next_one(
    persistence: Persistence, pool: ThreadPoolExecutor, start: Start
) -> None:
    """The giver is slow: it repeats its order after the run that obeyed has ended."""
    gate = Gate()
    graph = graph_of(make_team(TeamScript(PLAN, results={"a": say("result of a").behind(gate)})), persistence)

    def order(beat: int) -> None:
        persistence.store.put(("orchestrator", "cancel"), "t", {"run": "any 1", "by": "somebody", "beat": beat})
        persistence.watch.look()

    running = pool.submit(start, graph, TASK)
    assert gate.entered.wait(10)
    beat = 0
    while not running.done():
        order(beat := beat + 1)
        time.sleep(0.01)
    with pytest.raises(GraphDrained):
        running.result()
    again = Gate()
    graph = graph_of(make_team(TeamScript(PLAN, results={"a": say("result of a").behind(again)})), persistence)
    running = pool.submit(start, graph, None)
    assert again.entered.wait(10)
    for _ in range(20):
        order(beat := beat + 1)
        time.sleep(0.01)
    assert not running.done()
    again.release()
    assert running.result(10)["status"] == "done"


def test_a_graph_in_memory_is_cancelled_through_its_own_store(pool: ThreadPoolExecutor) -> None:
    saver, store, gate = InMemorySaver(), InMemoryStore(), Gate()
    team = make_team(TeamScript(PLAN, results={"a": say("result of a").behind(gate)}))
    graph = compile_graph(team, checkpointer=saver, store=store)
    running = pool.submit(STARTS["invoke"], graph, TASK)
    assert gate.entered.wait(10)
    with OrchestratorClient(checkpointer=saver, store=store) as client:
        assert client.cancel("t") == "cancelled"
        with pytest.raises(GraphDrained):
            running.result(WITHIN_S)
    gate.release()
    assert graph.invoke(None, CONFIG)["status"] == "done"


def test_where_nothing_runs_nothing_is_cancelled(persistence: Persistence) -> None:
    graph = graph_of(make_team(TeamScript(PLAN)), persistence)
    with OrchestratorClient(persistence) as client:
        graph.invoke({"task": "go"}, CONFIG)
        assert client.cancel("t") == "not running"
        [review] = client.reviews("t")
        client.decide(review, "approve")
        assert graph.invoke(None, CONFIG)["status"] == "done"
        began = time.monotonic()
        assert client.cancel("t") == "not running"
        assert time.monotonic() - began < 1.0, "a thread that has ended is not waited for"
        client.delete("t")
        assert persistence.store.search(("orchestrator",), limit=100) == []
