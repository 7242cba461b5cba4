"""Agent Task Orchestrator: a supervisor, a team of workers, a shared memory and a human, on LangGraph.

The names below are loaded when they are first used, so that `orchestrator --help` need not import LangGraph.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.agents.agent import Agent
    from orchestrator.agents.assignment import Result
    from orchestrator.agents.roles import coder, researcher, reviewer
    from orchestrator.agents.supervisor import Supervisor
    from orchestrator.agents.team import Team
    from orchestrator.agents.worker import Worker
    from orchestrator.budget.budget import Budget, BudgetSpentError
    from orchestrator.budget.limits import Limits
    from orchestrator.budget.price import Price
    from orchestrator.errors import (
        CallbackError,
        CircuitOpenError,
        ConfigError,
        DecisionError,
        MissingModelError,
        ModelChangedError,
        ModelError,
        OrchestratorError,
        PersistenceError,
        PlanError,
        ThreadBusyError,
        UnknownThreadError,
        WorkerError,
        WrongHashError,
    )
    from orchestrator.events import (
        Answered,
        BudgetShort,
        Cancelled,
        Event,
        Planned,
        Planning,
        ReviewAsked,
        RoundStarted,
        RunStarted,
        Spent,
        Steered,
        SubTaskChanged,
        Summarizing,
        TextDelta,
        TextVoided,
        ToolCalled,
        ToolRefused,
        ToolReturned,
    )
    from orchestrator.graph.build import build_graph, compile_graph
    from orchestrator.graph.shape.wiring import GATES
    from orchestrator.journal.record import JournalRecord
    from orchestrator.journal.verification import JournalCheck
    from orchestrator.memory.entry import Entry
    from orchestrator.memory.reference import Reference
    from orchestrator.memory.shared_memory import SharedMemory
    from orchestrator.memory.turns import ConversationTurn
    from orchestrator.model_calls.call_events import FellBack, ModelAsked, ModelLoading, ModelReturned, PromptRead
    from orchestrator.model_calls.call_policy import CallPolicy
    from orchestrator.model_calls.retries import Resilience
    from orchestrator.models.check.check import check_model
    from orchestrator.models.check.report import CheckedRequest, ModelCheck
    from orchestrator.models.factory import chat_model
    from orchestrator.models.settings import ModelSettings
    from orchestrator.notebook.live_run import LiveRun
    from orchestrator.notebook.progress import NotebookProgress
    from orchestrator.persistence.database import Persistence
    from orchestrator.planning.outcome import Outcome, Verdict
    from orchestrator.planning.plan import Plan
    from orchestrator.planning.sub_task import SubTask
    from orchestrator.reports.results import SubTaskResult, ToolCallRecord
    from orchestrator.reviews.review import Decision, Review
    from orchestrator.reviews.saved.instructions import Instruction
    from orchestrator.runs.client import OrchestratorClient
    from orchestrator.runs.run import Run
    from orchestrator.runs.task_orchestrator import TaskOrchestrator
    from orchestrator.runs.threads.record import ThreadRecord
    from orchestrator.tool_calls.ask_human import ask_human
    from orchestrator.tool_calls.declaration import declare
    from orchestrator.tool_calls.policy import Policy, Rule

    __version__: str

__all__ = [
    "GATES",
    "Agent",
    "Answered",
    "Budget",
    "BudgetShort",
    "BudgetSpentError",
    "CallPolicy",
    "CallbackError",
    "Cancelled",
    "CheckedRequest",
    "CircuitOpenError",
    "ConfigError",
    "ConversationTurn",
    "Decision",
    "DecisionError",
    "Entry",
    "Event",
    "FellBack",
    "Instruction",
    "JournalCheck",
    "JournalRecord",
    "Limits",
    "LiveRun",
    "MissingModelError",
    "ModelAsked",
    "ModelChangedError",
    "ModelCheck",
    "ModelError",
    "ModelLoading",
    "ModelReturned",
    "ModelSettings",
    "NotebookProgress",
    "OrchestratorClient",
    "OrchestratorError",
    "Outcome",
    "Persistence",
    "PersistenceError",
    "Plan",
    "PlanError",
    "Planned",
    "Planning",
    "Policy",
    "Price",
    "PromptRead",
    "Reference",
    "Resilience",
    "Result",
    "Review",
    "ReviewAsked",
    "RoundStarted",
    "Rule",
    "Run",
    "RunStarted",
    "SharedMemory",
    "Spent",
    "Steered",
    "SubTask",
    "SubTaskChanged",
    "SubTaskResult",
    "Summarizing",
    "Supervisor",
    "TaskOrchestrator",
    "Team",
    "TextDelta",
    "TextVoided",
    "ThreadBusyError",
    "ThreadRecord",
    "ToolCallRecord",
    "ToolCalled",
    "ToolRefused",
    "ToolReturned",
    "UnknownThreadError",
    "Verdict",
    "Worker",
    "WorkerError",
    "WrongHashError",
    "__version__",
    "ask_human",
    "build_graph",
    "chat_model",
    "check_model",
    "coder",
    "compile_graph",
    "declare",
    "researcher",
    "reviewer",
]

# The names of the imports above, which only type checkers read. A test compares the two.
_MODULES = {
    "agents.agent": ("Agent",),
    "agents.assignment": ("Result",),
    "agents.roles": ("coder", "researcher", "reviewer"),
    "agents.supervisor": ("Supervisor",),
    "agents.team": ("Team",),
    "agents.worker": ("Worker",),
    "budget.budget": ("Budget", "BudgetSpentError"),
    "budget.limits": ("Limits",),
    "budget.price": ("Price",),
    "errors": (
        "CallbackError",
        "CircuitOpenError",
        "ConfigError",
        "DecisionError",
        "MissingModelError",
        "ModelChangedError",
        "ModelError",
        "OrchestratorError",
        "PersistenceError",
        "PlanError",
        "ThreadBusyError",
        "UnknownThreadError",
        "WorkerError",
        "WrongHashError",
    ),
    "events": (
        "Answered",
        "BudgetShort",
        "Cancelled",
        "Event",
        "Planned",
        "Planning",
        "ReviewAsked",
        "RoundStarted",
        "RunStarted",
        "Spent",
        "Steered",
        "SubTaskChanged",
        "Summarizing",
        "TextDelta",
        "TextVoided",
        "ToolCalled",
        "ToolRefused",
        "ToolReturned",
    ),
    "graph.build": ("build_graph", "compile_graph"),
    "graph.shape.wiring": ("GATES",),
    "journal.record": ("JournalRecord",),
    "journal.verification": ("JournalCheck",),
    "memory.turns": ("ConversationTurn",),
    "memory.entry": ("Entry",),
    "memory.reference": ("Reference",),
    "memory.shared_memory": ("SharedMemory",),
    "model_calls.call_policy": ("CallPolicy",),
    "model_calls.call_events": ("FellBack", "ModelAsked", "ModelLoading", "ModelReturned", "PromptRead"),
    "model_calls.retries": ("Resilience",),
    "models.check.check": ("check_model",),
    "models.check.report": ("CheckedRequest", "ModelCheck"),
    "models.factory": ("chat_model",),
    "models.settings": ("ModelSettings",),
    "notebook.live_run": ("LiveRun",),
    "notebook.progress": ("NotebookProgress",),
    "persistence.database": ("Persistence",),
    "planning.outcome": ("Outcome", "Verdict"),
    "planning.plan": ("Plan", "SubTask"),
    "reports.results": ("SubTaskResult", "ToolCallRecord"),
    "reviews.saved.instructions": ("Instruction",),
    "reviews.review": ("Decision", "Review"),
    "runs.client": ("OrchestratorClient",),
    "runs.run": ("Run",),
    "runs.task_orchestrator": ("TaskOrchestrator",),
    "runs.threads.record": ("ThreadRecord",),
    "tool_calls.ask_human": ("ask_human",),
    "tool_calls.declaration": ("declare",),
    "tool_calls.policy": ("Policy", "Rule"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

if not TYPE_CHECKING:  # a type checker that saw this function would take any name for one of ours

    def __getattr__(name):
        if name == "__version__":
            return _installed_version()
        if name not in _MODULE_OF:
            raise AttributeError(f"module 'orchestrator' has no attribute '{name}'")
        # Kept as a global: Python calls this function only for names that the module does not have (PEP 562).
        value = globals()[name] = getattr(import_module(f"orchestrator.{_MODULE_OF[name]}"), name)
        return value


# Without it, `dir` and completion would show only names that were used before.
def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})


def _installed_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("agent-task-orchestrator")
    except PackageNotFoundError:  # the sources on `PYTHONPATH`, without an installation
        return "unknown"
