"""The nodes and edges of the graph by name, whatever the nodes do.

A graph of the same shape reads the state of a thread. It runs nothing, so it needs neither a team nor models, whose
modules take a second of CPU to load.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from langchain_core.runnables import Runnable, RunnableLambda
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.store.base import BaseStore

from orchestrator.graph.state import Output, State, TaskInput

GATES = ["approve_plan", "human_review"]


def wired(
    nodes: Mapping[str, Any], workers: Iterable[str], route: Runnable[Any, Any], context_schema: type[Any] | None = None
) -> "StateGraph[State, Any, TaskInput, Output]":
    """Return the graph with its nodes and edges. Compile it with `interrupt_before=GATES`.

    Args:
        nodes: The actions of the nodes by name: supervisor, gates, workers and summarize.
        workers: The names of the worker nodes.
        route: Chooses the way on from the supervisor.
        context_schema: As for `compile_graph`.
    """
    names = list(workers)
    # Studio asks a person for the fields of the input schema only, and callers get those of the output schema only.
    graph: StateGraph[State, Any, TaskInput, Output] = StateGraph(
        State, context_schema, input_schema=TaskInput, output_schema=Output
    )
    for name in ("supervisor", "approve_plan", *names, "human_review", "summarize"):
        graph.add_node(name, nodes[name])
    graph.add_edge(START, "supervisor")
    graph.add_conditional_edges("supervisor", route, ["approve_plan", *names, "human_review", "summarize", END])
    for name in (*GATES, *names):
        graph.add_edge(name, "supervisor")
    graph.add_edge("summarize", END)
    return graph


def reading_graph(
    workers: Iterable[str], checkpointer: BaseCheckpointSaver[Any], store: BaseStore
) -> CompiledStateGraph[State, Any, Any, Any]:
    """Return a graph that can read the state of a thread with these workers, and run nothing.

    Args:
        workers: Names of the workers. LangGraph drops sends to unknown nodes, and the reviews of their sub-tasks.
        checkpointer: Holds the states.
        store: Belongs with the checkpointer.
    """
    names = sorted(workers)
    nodes = dict.fromkeys(("supervisor", *GATES, *names, "summarize"), _refuse)
    graph = wired(nodes, names, RunnableLambda(_refuse, name="after_supervisor"))
    return graph.compile(checkpointer=checkpointer, store=store, interrupt_before=GATES)


def _refuse(state: State) -> Any:
    raise RuntimeError("a graph that reads states runs nothing")
