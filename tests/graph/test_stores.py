"""The store of a graph: one that goes with its saver where none is given, and a clear error where results are lost."""

import asyncio
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command

from orchestrator import compile_graph
from orchestrator.errors import ConfigError
from orchestrator.testing import TeamScript
from tests.support.teams import make_team, statuses, step

CONFIG: Any = {"configurable": {"thread_id": "t"}}
SCRIPT = TeamScript([step("a"), step("reviewed", approval=True), step("b", "a", "reviewed")])


def invoke(graph: Any, value: Any, *, is_async: bool) -> dict[str, Any]:
    if is_async:
        return asyncio.run(asyncio.wait_for(graph.ainvoke(value, CONFIG), 30))  # type: ignore[no-any-return]
    return graph.invoke(value, CONFIG)  # type: ignore[no-any-return]


def approved(state: dict[str, Any]) -> Command[Any]:
    [review] = state["reviews"]
    return Command(resume={"review_id": review["id"], "action": "approve"})


@pytest.mark.parametrize("is_async", [True, False])
def test_graphs_compiled_over_one_saver_in_memory_share_its_results(is_async: bool) -> None:
    saver = InMemorySaver()
    state = invoke(compile_graph(make_team(SCRIPT), checkpointer=saver), {"task": "go"}, is_async=is_async)
    state = invoke(compile_graph(make_team(SCRIPT), checkpointer=saver), approved(state), is_async=is_async)
    assert state["reviews"][0]["sub_task_id"] == "reviewed"
    state = invoke(compile_graph(make_team(SCRIPT), checkpointer=saver), approved(state), is_async=is_async)
    assert state["status"] == "done"
    assert statuses(state["results"]) == dict.fromkeys(["a", "reviewed", "b"], "succeeded")


def test_savers_in_memory_do_not_share_a_store() -> None:
    for _ in range(2):  # the thread of the first saver is nothing to the second
        graph = compile_graph(make_team(SCRIPT), checkpointer=InMemorySaver())
        assert invoke(graph, {"task": "go"}, is_async=False)["status"] == "waiting"


@pytest.mark.parametrize("is_async", [True, False])
def test_a_round_that_is_resumed_without_its_results_says_so_and_goes_on_with_them(is_async: bool) -> None:
    saver, store = InMemorySaver(), InMemoryStore()
    graph = compile_graph(make_team(SCRIPT), checkpointer=saver, store=store)
    state = invoke(graph, approved(invoke(graph, {"task": "go"}, is_async=is_async)), is_async=is_async)

    elsewhere = compile_graph(make_team(SCRIPT), checkpointer=saver, store=InMemoryStore())
    with pytest.raises(ConfigError, match="the result of a on thread 't' is not in the shared memory any more: resume"):
        invoke(elsewhere, approved(state), is_async=is_async)

    assert invoke(graph, approved(state), is_async=is_async)["status"] == "done"
