"""Uses: requests, tool calls, waits and questions, as a history shows them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestrator.budget.spend import Spend


@dataclass
class ModelUse:
    """One request to a model.

    Args:
        agent: The agent that asked.
        model: The model.
        call: Names the request on the thread.
        began: The time of the request.
        ended: The time of the answer or failure; None while it goes on, or if its process was killed.
        text: The words of the answer.
        calls: The tool calls in the answer.
        error: Reason of a failure.
        error_type: The class of the failure.
        cut_off: Reason why the answer is not whole; empty for a whole one.
        spent: The amount that it cost.
        prompt: The messages, for requests of the supervisor.
        waited: Seconds for which the request waited before it was sent, by reason: `rate`, `service`.
        first_s: Seconds until the first words of a streamed answer; None where that is not known.
    """

    agent: str
    model: str
    call: str
    began: datetime
    ended: datetime | None = None
    text: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""
    error_type: str = ""
    cut_off: str = ""
    spent: Spend = field(default_factory=Spend)
    prompt: list[dict[str, str]] = field(default_factory=list)
    first_s: float | None = None
    waited: dict[str, float] = field(default_factory=dict)


@dataclass
class ToolUse:
    """One tool call.

    Args:
        tool: The tool.
        call: Names the call within its sub-task.
        args: The arguments.
        began: The time of the call.
        ended: The time of the answer; None while the tool works, or if its process was killed.
        answer: The answer as the worker saw it.
        error: The error that the worker was told instead.
        refused: Reason why the call was not made; empty if it was.
        tainted_by: The sources from outside that the answer rests on.
    """

    tool: str
    call: str
    args: dict[str, Any]
    began: datetime
    ended: datetime | None = None
    answer: str = ""
    error: str = ""
    refused: str = ""
    tainted_by: list[str] = field(default_factory=list)


@dataclass
class Wait:
    """A time in which a sub-task did not work.

    Args:
        reason: `dependency`, `slot`, `human`, `rate` or `service`.
        names: The sub-tasks or reviews that it waited for.
        began: The beginning.
        ended: The end; None while it lasts.
    """

    reason: str
    names: list[str]
    began: datetime
    ended: datetime | None = None


@dataclass
class Asked:
    """A question to a human, and its answer.

    Args:
        review: The review in plain form.
        asked: The time at which it was asked.
        decision: The decision in plain form; empty while it is open.
        by: The user who decided.
        answered: The time of the decision; None while it is open.
    """

    review: dict[str, Any]
    asked: datetime
    decision: dict[str, Any] = field(default_factory=dict)
    by: str = ""
    answered: datetime | None = None


@dataclass
class Stretch:
    """A time in which one process ran a task, until its end or a pause.

    Args:
        began: The beginning.
        process: The process, by host and number.
        ended: The end; None while it goes on.
        status: The status at its end. `unfinished` if nothing was told of an end, as after a kill.
        why: Reason of a pause.
        last: The time of the last thing that the process told.
    """

    began: datetime
    process: tuple[Any, Any] = ("", 0)
    ended: datetime | None = None
    status: str = "running"
    why: str = ""
    last: datetime | None = None

    @property
    def end(self) -> datetime:
        """The end, or the time of the last thing that was told."""
        return self.ended or self.last or self.began

    def close(self, ended: datetime, status: str, why: str = "") -> None:
        """Take the end of the stretch. A second end is ignored."""
        if self.ended is None:
            self.ended, self.status, self.why = ended, status, why
