"""The state graph of a team.

START -> supervisor -> approve_plan (interrupt before) -> supervisor
                    -> one node for each worker        -> supervisor
                    -> human_review (interrupt before) -> supervisor
                    -> summarize -> END
"""

from copy import copy
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.store.base import BaseStore
from langgraph.types import Checkpointer

from orchestrator.agents.team import Team
from orchestrator.graph.nodes.gates import approve_plan, human_review
from orchestrator.graph.nodes.summarize import summarize
from orchestrator.graph.nodes.supervisor import supervise
from orchestrator.graph.nodes.worker import worker
from orchestrator.graph.routing import after_supervisor
from orchestrator.graph.state import Output, State, TaskInput
from orchestrator.validation import expect

GATES = ["approve_plan", "human_review"]


def build_graph(team: Team) -> "StateGraph[State, None, TaskInput, Output]":
    """Return the graph of a team. Compile it with `interrupt_before=GATES`, a checkpointer and a store."""
    expect(Team, team, "team", "a Team, as in Team(Supervisor(), [researcher()])")
    team = copy(team)  # the graph keeps its policy and budget, whatever is set on the team later; agents are shared
    # Studio asks a person for the fields of the input schema only, and callers get those of the output schema only.
    graph: StateGraph[State, None, TaskInput, Output] = StateGraph(State, input_schema=TaskInput, output_schema=Output)
    graph.add_node("supervisor", supervise(team))
    graph.add_node("approve_plan", approve_plan())
    for agent in team.workers.values():
        graph.add_node(agent.name, worker(team, agent))
    graph.add_node("human_review", human_review())
    graph.add_node("summarize", summarize(team))
    graph.add_edge(START, "supervisor")
    graph.add_conditional_edges(
        "supervisor", after_supervisor, ["approve_plan", *team.workers, "human_review", "summarize", END]
    )
    for name in (*GATES, *team.workers):
        graph.add_edge(name, "supervisor")
    graph.add_edge("summarize", END)
    return graph


def compile_graph(
    team: Team, *, checkpointer: Checkpointer = None, store: BaseStore | None = None
) -> CompiledStateGraph[State, None, Any, Any]:
    """Return the compiled graph of a team, with its gates.

    Args:
        team: The team.
        checkpointer: Saves the state; None for a server that brings its own.
        store: Holds the shared memory; belongs with the checkpointer.
    """
    # The static stops show the gates in LangGraph's drawing. The gates do not rely on them, see `nodes.gates`.
    return build_graph(team).compile(checkpointer=checkpointer, store=store, interrupt_before=GATES)
