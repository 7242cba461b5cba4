"""What the nodes of one invocation share, and for how long."""

from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.store.memory import InMemoryStore
from typing_extensions import TypedDict

from orchestrator import compile_graph
from orchestrator.budget.budget import Budget
from orchestrator.budget.ledger import Ledger
from orchestrator.concurrency import BLOCKING
from orchestrator.graph.invocation import SHARED, Shared, shared_key
from orchestrator.graph.round import Round
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.reviews.decision_watch import DecisionWatch
from orchestrator.reviews.instructions import Steering
from orchestrator.testing import TeamScript
from tests.support.teams import make_team, statuses, step


def shared() -> Shared:
    store = InMemoryStore()
    return Shared(Ledger(Budget(), store, "t", BLOCKING.lock()), DecisionWatch(store, "t"), Steering(store, "t"))


def a_round() -> Round:
    return Round(SharedMemory(InMemoryStore(), "t"), BLOCKING.lock(), 1)


def test_a_round_is_made_once_and_dropped_when_no_node_works_in_it() -> None:
    held = shared()
    first = held.round(1, a_round)
    assert held.round(1, a_round) is first
    assert held.round(2, a_round) is not first
    first.enter("a")
    assert held.is_active
    held.drop_rounds()
    assert held.round(1, a_round) is first
    first.leave("a", "succeeded")
    held.drop_rounds()
    assert not held.is_active
    assert held.round(1, a_round) is not first


def test_a_graph_of_its_own_and_one_nested_in_another_share_nothing() -> None:
    assert shared_key("", "t") == shared_key("researcher:1f", "t") == "|t"
    assert shared_key("outer:1f|researcher:2e", "t") == shared_key("outer:1f|supervisor:3d", "t") == "outer:1f|t"


class Outer(TypedDict, total=False):
    """The state of a graph around two of ours."""

    task: str
    auto_approve: bool
    first: dict[str, Any]
    second: dict[str, Any]


def test_two_graphs_nested_in_one_run_side_by_side_on_one_thread() -> None:
    graphs = {
        name: compile_graph(make_team(TeamScript([step(f"{name}_{i}") for i in range(4)])))
        for name in ("first", "second")
    }
    outer: Any = StateGraph(Outer)
    for name, graph in graphs.items():

        def run(_: Outer, name: str = name, graph: Any = graph) -> dict[str, Any]:
            return {name: graph.invoke({"task": name, "auto_approve": True})["results"]}

        outer.add_node(f"run_{name}", run)
        outer.add_edge(START, f"run_{name}")
        outer.add_edge(f"run_{name}", END)
    state = outer.compile().invoke({"task": "go"}, {"configurable": {"thread_id": "nested"}})
    for name in graphs:
        assert statuses(state[name]) == {f"{name}_{i}": "succeeded" for i in range(4)}
    assert not [key for key in SHARED.held_keys() if str(key) == "|nested"]
