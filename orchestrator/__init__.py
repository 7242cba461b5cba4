"""Agent Task Orchestrator: a supervisor, a team of workers, a shared memory and a human, on LangGraph.

The names below are loaded when they are first used, so that `orchestrator --help` need not import LangGraph.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.agents import Worker
    from orchestrator.assignment import Result
    from orchestrator.budget import Budget
    from orchestrator.graph import GATES, build_graph, compile_graph
    from orchestrator.limits import Limits
    from orchestrator.memory import Entry, SharedMemory
    from orchestrator.model_call import CallPolicy
    from orchestrator.models import chat_model
    from orchestrator.orchestrator import TaskOrchestrator
    from orchestrator.persistence import Persistence
    from orchestrator.plan import Outcome, Plan, SubTask, Verdict
    from orchestrator.policy import Policy, Rule, declare
    from orchestrator.reviews import Decision, Review
    from orchestrator.roles import coder, researcher, reviewer
    from orchestrator.run import Run
    from orchestrator.supervisor import Supervisor
    from orchestrator.team import Team

_PLACES = {
    "agents": ("Worker",),
    "assignment": ("Result",),
    "budget": ("Budget",),
    "graph": ("GATES", "build_graph", "compile_graph"),
    "limits": ("Limits",),
    "memory": ("Entry", "SharedMemory"),
    "model_call": ("CallPolicy",),
    "models": ("chat_model",),
    "orchestrator": ("TaskOrchestrator",),
    "persistence": ("Persistence",),
    "plan": ("Outcome", "Plan", "SubTask", "Verdict"),
    "policy": ("Policy", "Rule", "declare"),
    "reviews": ("Decision", "Review"),
    "roles": ("coder", "researcher", "reviewer"),
    "run": ("Run",),
    "supervisor": ("Supervisor",),
    "team": ("Team",),
}
_MODULE_OF = {name: module for module, names in _PLACES.items() for name in names}

__all__ = [
    "GATES",
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
