"""WorkerContext: what one execution of a worker's agent may use; LangGraph hands it to middleware and tools."""

from dataclasses import dataclass, field

from langgraph.store.base import BaseStore

from orchestrator.budget.allowance import Allowance
from orchestrator.budget.budget import BudgetSpentError
from orchestrator.events import Emit
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.model_calls.calls import ModelCalls
from orchestrator.tool_calls.policy import Policy


@dataclass
class WorkerContext:
    """The surroundings of one execution.

    Args:
        store: Where decisions are recorded.
        memory: The thread's shared memory.
        thread_id: The thread.
        sub_task_id: The sub-task being executed.
        key: Its key.
        auto_approve: Whether tool calls need no human.
        window: Tokens that a prompt may have.
        emit: Takes progress events.
        agent: The worker's name.
        policy: What it may do unasked.
        workspace: The thread's folder; empty when there is none.
        stopped: Whether a human stopped the run at the review of a tool call.
        unattended: There is no graph that could pause: what needs a review is refused.
        calls: How its model is called.
        allowance: The part of the budget that the worker may use for the sub-task.
        finishes_when_spent: When the run's budget is spent, the attempt ends with what it has and asks no human.
        limit: Which limit ended the attempt; None for none.
        stalled: What the worker kept repeating until its attempt was ended.
    """

    store: BaseStore
    memory: SharedMemory
    thread_id: str
    sub_task_id: str
    key: str
    auto_approve: bool
    window: int
    emit: Emit
    calls: ModelCalls
    allowance: Allowance
    agent: str = ""
    policy: Policy = field(default_factory=Policy)
    workspace: str = ""
    stopped: bool = False
    unattended: bool = False
    finishes_when_spent: bool = False
    limit: BudgetSpentError | None = None
    stalled: str = ""

    @property
    def session(self) -> str:
        """What tools may keep things under; other threads may have a sub-task of the same key."""
        return session_of(self.thread_id, self.key)


def session_of(thread_id: str, key: str) -> str:
    """The name of the session of a sub-task on a thread."""
    return f"{thread_id}/{key}"
