"""Agent Task Orchestrator: a supervisor, a team of workers, a shared memory and a human, on LangGraph.

The names below are loaded when they are first used, so that `orchestrator --help` need not import LangGraph.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.agents.agent import Agent
    from orchestrator.agents.assignment import Result
    from orchestrator.agents.roles import coder, researcher, reviewer
    from orchestrator.agents.supervisor import Supervisor
    from orchestrator.agents.team import Team
    from orchestrator.agents.worker import Worker
    from orchestrator.budget.budget import Budget
    from orchestrator.budget.limits import Limits
    from orchestrator.graph.build import GATES, build_graph, compile_graph
    from orchestrator.memory.entry import Entry
    from orchestrator.memory.shared_memory import SharedMemory
    from orchestrator.model_calls.call_policy import CallPolicy
    from orchestrator.models.factory import chat_model
    from orchestrator.persistence.database import Persistence
    from orchestrator.planning.outcome import Outcome, Verdict
    from orchestrator.planning.plan import Plan, SubTask
    from orchestrator.reviews.review import Decision, Review
    from orchestrator.runs.run import Run
    from orchestrator.runs.task_orchestrator import TaskOrchestrator
    from orchestrator.tool_calls.declaration import declare
    from orchestrator.tool_calls.policy import Policy, Rule

_PLACES = {
    "agents.agent": ("Agent",),
    "agents.assignment": ("Result",),
    "agents.roles": (
        "coder",
        "researcher",
        "reviewer",
    ),
    "agents.supervisor": ("Supervisor",),
    "agents.team": ("Team",),
    "agents.worker": ("Worker",),
    "budget.budget": ("Budget",),
    "budget.limits": ("Limits",),
    "graph.build": (
        "GATES",
        "build_graph",
        "compile_graph",
    ),
    "memory.entry": ("Entry",),
    "memory.shared_memory": ("SharedMemory",),
    "model_calls.call_policy": ("CallPolicy",),
    "models.factory": ("chat_model",),
    "persistence.database": ("Persistence",),
    "planning.outcome": (
        "Outcome",
        "Verdict",
    ),
    "planning.plan": (
        "Plan",
        "SubTask",
    ),
    "reviews.review": (
        "Decision",
        "Review",
    ),
    "runs.run": ("Run",),
    "runs.task_orchestrator": ("TaskOrchestrator",),
    "tool_calls.declaration": ("declare",),
    "tool_calls.policy": (
        "Policy",
        "Rule",
    ),
}
_MODULE_OF = {name: module for module, names in _PLACES.items() for name in names}

__all__ = [
    "GATES",
    "Agent",
    "Budget",
    "CallPolicy",
    "Decision",
    "Entry",
    "Limits",
    "Outcome",
    "Persistence",
    "Plan",
    "Policy",
    "Result",
    "Review",
    "Rule",
    "Run",
    "SharedMemory",
    "SubTask",
    "Supervisor",
    "TaskOrchestrator",
    "Team",
    "Verdict",
    "Worker",
    "build_graph",
    "chat_model",
    "coder",
    "compile_graph",
    "declare",
    "researcher",
    "reviewer",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'orchestrator' has no attribute '{name}'")
    return getattr(import_module(f"orchestrator.{_MODULE_OF[name]}"), name)
