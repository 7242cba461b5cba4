"""WorkerContext: the surroundings of one attempt. LangGraph hands it to the agent's middleware and tools."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import HumanMessage
from langgraph.store.base import BaseStore

from orchestrator.budget.allowance import Allowance
from orchestrator.budget.budget import BudgetSpentError
from orchestrator.concurrency import Bridge
from orchestrator.events import SILENT, Emit
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.model_calls.calls import ModelCalls
from orchestrator.reviews.out_of_budget import BudgetDecision
from orchestrator.reviews.parking import NO_PARKING, Parking
from orchestrator.reviews.saved.instructions import Instruction
from orchestrator.tool_calls.policy import Policy


@dataclass(frozen=True)
class Held:
    """The `context` that a caller gives, on its way through LangGraph.

    Args:
        context: Anything.
        check_output: Returns what is wrong with an answer of the caller's output type.
    """

    # LangGraph 1.2 takes an empty dict for no context, and asks an object if it is true, which some refuse to answer.
    context: Any
    check_output: Callable[[Any], list[str]] | None = None


@dataclass(frozen=True)
class Actor:
    """A worker that acts for a sub-task of a thread.

    Args:
        agent: The worker's name.
        thread_id: The thread.
        sub_task_id: The sub-task.
        key: The sub-task's key in the shared memory.
        task_number: Number of the task on the thread.
    """

    agent: str
    thread_id: str
    sub_task_id: str
    key: str
    task_number: int = 1

    @property
    def session(self) -> str:
        """The name under which tools may keep things for the sub-task."""
        return session_of(self.thread_id, self.key)


@dataclass(frozen=True)
class Oversight:
    """Decides which tool calls are made.

    Args:
        store: Holds the decisions of humans.
        policy: Says which calls are allowed unasked.
        auto_approve: Calls need no human.
        unattended: No graph could pause, so a call that needs a review is refused.
        parking: Waits for a decision while other work of the run goes on.
    """

    store: BaseStore
    policy: Policy = field(default_factory=Policy)
    auto_approve: bool = False
    unattended: bool = False
    parking: Parking = NO_PARKING


MoreBudget = Callable[[BudgetSpentError], Awaitable[BudgetDecision | None]]


async def _pause(_: BudgetSpentError) -> BudgetDecision | None:
    return None


async def _no_instructions() -> tuple[Instruction, ...]:
    return ()


@dataclass(frozen=True)
class WorkerContext:
    """The surroundings of one attempt.

    Args:
        actor: The worker and its sub-task.
        oversight: Decides which tool calls are made.
        memory: The thread's shared memory.
        calls: How the worker's model is called.
        window: Tokens that a prompt may have.
        workspace: The thread's folder; empty when there is none.
        emit: Takes progress events.
        users: What the caller of the run gave as `context`, for the user's own tools.
        instructions: Returns what humans have told the run so far.
        finishes_when_spent: When the run's budget is spent, end the attempt with its results so far and ask no human.
        more_budget: Asks a human for more budget while other work goes on; None as its answer pauses the run.
        shorter_first: Makes the first message of the conversation anew for a smaller window.
    """

    actor: Actor
    oversight: Oversight
    memory: SharedMemory
    calls: ModelCalls
    window: int
    workspace: str = ""
    emit: Emit = SILENT
    users: Any = None
    instructions: Callable[[], Awaitable[tuple[Instruction, ...]]] = _no_instructions
    finishes_when_spent: bool = False
    more_budget: MoreBudget = _pause
    shorter_first: Callable[[Bridge, int], Awaitable[HumanMessage]] | None = None

    @property
    def allowance(self) -> Allowance:
        """The part of the budget that the worker may use for the sub-task."""
        return self.calls.allowance


def session_of(thread_id: str, key: str) -> str:
    """Return the name of a sub-task's session; two threads can have a sub-task of the same key."""
    return f"{thread_id}/{key}"
