"""The state graph of a team.

START -> supervisor -> approve_plan (interrupt before) -> supervisor
                    -> one node for each worker        -> supervisor
                    -> human_review (interrupt before) -> supervisor
                    -> summarize -> END
"""

from copy import copy
from types import NoneType
from typing import Any

from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.store.base import BaseStore
from langgraph.types import Checkpointer, Send

from orchestrator.agents.team import Team
from orchestrator.graph.nodes.gates import approve_plan, human_review
from orchestrator.graph.nodes.summarize import summarize
from orchestrator.graph.nodes.supervisor import supervise
from orchestrator.graph.nodes.worker import worker
from orchestrator.graph.routing import after_supervisor
from orchestrator.graph.shape.wiring import GATES, wired
from orchestrator.graph.state import Output, State, TaskInput
from orchestrator.memory.own_embedder import MemoryIndex, OwnEmbedder
from orchestrator.persistence.own_savers import adapted_saver
from orchestrator.validation import expect


def build_graph(
    team: Team, *, context_schema: type[Any] | None = None, index: MemoryIndex | OwnEmbedder | None = None
) -> "StateGraph[State, Any, TaskInput, Output]":
    """Return the graph of a team. Compile it with `interrupt_before=GATES`, a checkpointer and a store.

    Args:
        team: The team.
        context_schema: As for `compile_graph`.
        index: As for `compile_graph`.
    """
    expect(Team, team, "team", "a Team, as in Team(Supervisor(), [researcher()])")
    model = OwnEmbedder.of(index)
    team = copy(team)  # the graph keeps its policy and budget, whatever is set on the team later; agents are shared
    nodes = {
        "supervisor": supervise(team),
        "approve_plan": approve_plan(team.policy.expiry),
        **{agent.name: worker(team, agent, model) for agent in team.workers.values()},
        "human_review": human_review(team.policy.expiry),
        "summarize": summarize(team),
    }
    # LangGraph 1.2 calls a plain function in the loop's default executor, where the code of others may hang.
    route = RunnableLambda(after_supervisor, _aroute, name="after_supervisor")
    return wired(nodes, team.workers, route, context_schema)


async def _aroute(state: State) -> str | list[Send]:
    return after_supervisor(state)


def compile_graph(
    team: Team,
    *,
    checkpointer: Checkpointer = None,
    store: BaseStore | None = None,
    context_schema: type[Any] | None = None,
    index: MemoryIndex | OwnEmbedder | None = None,
) -> CompiledStateGraph[State, Any, Any, Any]:
    """Return the compiled graph of a team, with its gates.

    Args:
        team: The team.
        checkpointer: Saves the state; None for a server that brings its own.
        store: Holds the shared memory; belongs with the checkpointer.
        context_schema: The class of the `context` that callers of the graph give to tools, as for LangGraph's
            `StateGraph`. A server shows it to its clients, and makes one from what they send.
        index: The embedding model that searches the shared memory by meaning, or LangGraph's `IndexConfig` with
            `embed`, `dims` and `fields`. None for the store's own index, where it has one.

    Raises:
        ConfigError: The checkpointer, the store or the index is none.
    """
    expect((BaseStore, NoneType), store, "store", "a store of LangGraph, such as InMemoryStore()")
    if isinstance(checkpointer, BaseCheckpointSaver):
        checkpointer = adapted_saver(checkpointer)
    # The static stops show the gates in LangGraph's drawing. The gates do not rely on them, see `nodes.gates`.
    graph = build_graph(team, context_schema=context_schema, index=index)
    return graph.compile(checkpointer=checkpointer, store=store, interrupt_before=GATES)
