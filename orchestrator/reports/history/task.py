"""TaskHistory: what happened with one task of a thread, put together for those who look at it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestrator.budget.spend import Spend
from orchestrator.reports.history.uses import Asked, ModelUse, Stretch, ToolUse, Wait


@dataclass
class AttemptHistory:
    """One attempt at a sub-task, from its first wait to its end.

    Args:
        sub_task: The sub-task.
        attempt: The number of the attempt, from 1. What is done again because of another sub-task keeps its number.
        agent: The worker; empty while it has not begun.
        description: What the sub-task is.
        message: The first message of the worker: the task, other results, feedback.
        prompt: The worker's own prompt.
        tools: The names of its tools.
        feedback: The feedback with which it was sent back before.
        began: The time at which the worker began; None while it waits.
        ended: The time of its end; None while it goes on.
        status: `waiting`, `running`, or the status of its outcome.
        text: The result.
        error: Reason of a failure.
        outcome: All that is told of its end.
        models: Its requests to models, in order.
        tool_uses: Its tool calls, in order.
        waits: The times in which it did not work.
        reviews: What humans were asked about it.
        sent_back: The feedback with which it is done again after this attempt; empty if it is not.
        sent_back_by: The reviewing sub-task that sent it back; empty where none is known.
        is_retracted: Its result does not count any more.
    """

    sub_task: str
    attempt: int = 1
    agent: str = ""
    description: str = ""
    message: str = ""
    prompt: str = ""
    tools: list[str] = field(default_factory=list)
    feedback: Any = ""
    began: datetime | None = None
    ended: datetime | None = None
    status: str = "waiting"
    text: str = ""
    error: str = ""
    outcome: dict[str, Any] = field(default_factory=dict)
    models: list[ModelUse] = field(default_factory=list)
    tool_uses: list[ToolUse] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    reviews: list[Asked] = field(default_factory=list)
    sent_back: str = ""
    sent_back_by: str = ""
    is_retracted: bool = False

    @property
    def spent(self) -> Spend:
        """The amount that its requests to models cost."""
        return sum((use.spent for use in self.models), Spend())


@dataclass
class TaskHistory:
    """One task of a thread, from its beginning to its answer.

    Args:
        task: The task.
        number: The number of the task on the thread.
        began: The time at which it began.
        ended: The time at which it ended; None while it goes on or waits.
        status: `running`, `waiting`, `interrupted`, or the status with which it ended.
        why: Reason of a pause, or of the end.
        budget: The limits at its beginning, JSON-plain.
        models: The models that its agents ask, JSON-plain.
        plans: The plans that were carried out, each with its time, JSON-plain.
        proposed: The plan that a human was asked about last, JSON-plain; empty if none was.
        attempts: All attempts at its sub-tasks, in the order in which they appear.
        supervisor: The supervisor's own requests to models.
        reviews: All questions to humans.
        instructions: What humans told the run, each with `text`, `by` and `at`.
        resumed: The times at which it was resumed.
        answer: The answer.
        references: What the answer rests on.
        notes: What is missing, as sentences.
        key: Names the task among all tasks of all threads, and is the same whenever the journal is read.
        stretches: The times in which processes ran it.
        rounds: Its rounds, each with its number and its beginning.
        limits: The limits that were set later, each with `budget`, `by` and `at`.
        auto_approve: True if no human was asked.
    """

    task: str
    number: int
    began: datetime
    ended: datetime | None = None
    status: str = "running"
    why: str = ""
    budget: dict[str, Any] = field(default_factory=dict)
    models: dict[str, Any] = field(default_factory=dict)
    plans: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)
    proposed: dict[str, Any] = field(default_factory=dict)
    attempts: list[AttemptHistory] = field(default_factory=list)
    supervisor: list[ModelUse] = field(default_factory=list)
    reviews: list[Asked] = field(default_factory=list)
    instructions: list[dict[str, Any]] = field(default_factory=list)
    resumed: list[datetime] = field(default_factory=list)
    answer: str = ""
    references: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    key: str = ""
    stretches: list[Stretch] = field(default_factory=list)
    rounds: list[tuple[int, datetime]] = field(default_factory=list)
    limits: list[dict[str, Any]] = field(default_factory=list)
    auto_approve: bool = False

    @property
    def spent(self) -> Spend:
        """The amount that all requests to models cost."""
        return sum((use.spent for use in self.model_uses), Spend())

    @property
    def model_uses(self) -> list[ModelUse]:
        """All requests to models."""
        return [*self.supervisor, *(use for attempt in self.attempts for use in attempt.models)]

    @property
    def sub_tasks(self) -> list[dict[str, Any]]:
        """The sub-tasks of the newest plan, JSON-plain: of the one that is carried out, or else of a proposed one."""
        plan = self.plans[-1][1] if self.plans else self.proposed
        return list(plan.get("sub_tasks") or ())

    def attempts_at(self, sub_task: str) -> list[AttemptHistory]:
        """Return the attempts at one sub-task, in order."""
        return [attempt for attempt in self.attempts if attempt.sub_task == sub_task]
