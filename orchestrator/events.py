"""Events: what a run tells while it works, one small class for each kind."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.budget.spend import NANO
from orchestrator.planning.outcome import Status
from orchestrator.planning.plan import Plan

if TYPE_CHECKING:
    from orchestrator.reviews.review import Review


@dataclass(frozen=True)
class Planning:
    """The supervisor is decomposing the task."""


@dataclass(frozen=True)
class Planned:
    """There is a plan, or a changed one.

    Args:
        plan: The plan.
        retries: Feedback by id of the sub-tasks that are done again.
    """

    plan: Plan
    retries: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RoundStarted:
    """All unfinished sub-tasks were sent to their workers."""

    number: int


@dataclass(frozen=True)
class SubTaskChanged:
    """A sub-task has another status.

    Args:
        id: Which one.
        status: Its new status.
        attempt: Which try it is.
        usage: Tokens and calls, once it has ended.
        seconds: How long it took, once it has ended.
        error: Why it failed.
    """

    id: str
    status: Status
    attempt: int = 1
    usage: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class ToolCalled:
    """A worker calls a tool."""

    sub_task_id: str
    tool: str
    args: dict[str, Any]


@dataclass(frozen=True)
class ToolRefused:
    """A worker may not call a tool: the policy says so, or a human would have to be asked and nobody is there."""

    sub_task_id: str
    tool: str
    why: str


@dataclass(frozen=True)
class ReviewAsked:
    """A human is asked; the run goes on elsewhere as far as it can."""

    review: "Review"


@dataclass(frozen=True)
class Spent:
    """A model call was settled.

    Args:
        tokens: Of the whole run so far.
        cost_usd: Likewise; 0 where cost is not limited.
        model_calls: Likewise.
    """

    tokens: int
    cost_usd: float
    model_calls: int


@dataclass(frozen=True)
class BudgetShort:
    """The run has come to another stage of its budget.

    Args:
        stage: `warn`; `short`, from which on it saves; `spent`.
        budget: The limits, in words.
    """

    stage: str
    budget: str


@dataclass(frozen=True)
class FellBack:
    """A model could not be reached, and another is asked instead.

    Args:
        sub_task_id: For which sub-task; empty for the supervisor.
        model: The one that failed.
        instead: The other one.
        error: Why.
    """

    sub_task_id: str
    model: str
    instead: str
    error: str


@dataclass(frozen=True)
class Summarizing:
    """The supervisor is writing the answer."""


Event = (
    Planning
    | Planned
    | RoundStarted
    | SubTaskChanged
    | ToolCalled
    | ToolRefused
    | ReviewAsked
    | Spent
    | BudgetShort
    | FellBack
    | Summarizing
)


def parse_event(data: Any) -> Event | None:
    """The event in a chunk of LangGraph's custom stream; None for chunks that are not the engine's."""
    if not isinstance(data, dict):
        return None
    match data.get("event"):
        case "planning":
            return Planning()
        case "plan":
            return Planned(Plan.parse(data["plan"]), data.get("retries", {}))
        case "round":
            return RoundStarted(data["round"])
        case "sub_task":
            return SubTaskChanged(**{name: value for name, value in data.items() if name != "event"})
        case "tool":
            return ToolCalled(data["sub_task_id"], data["tool"], data["args"])
        case "tool_refused":
            return ToolRefused(data["sub_task_id"], data["tool"], data["why"])
        case "spend":
            return Spent(data["tokens"], data["nano_usd"] / NANO, data["calls"])
        case "budget":
            return BudgetShort(data["stage"], data["budget"])
        case "fallback":
            return FellBack(data["sub_task_id"], data["from"], data["to"], data["error"])
        case "summarize":
            return Summarizing()
        case _:
            return None


Emit = Callable[[dict[str, Any]], None]
