"""CallFacts: what the journal of a thread tells of one tool call."""

from typing import Any

from langchain_core.messages import ToolCall, ToolMessage

from orchestrator.journal.fact import Fact
from orchestrator.journal.record import Kind
from orchestrator.tool_calls.worker_context import WorkerContext
from orchestrator.trust import split_data, tainted_by


class CallFacts:
    """The facts of one call.

    Args:
        context: The surroundings of the attempt.
        call: The call.
        identity: The name of the call, unique in its sub-task.
        once: The key of the call's note, if its effect must happen once. Its facts are then told once, too.
    """

    def __init__(self, context: WorkerContext, call: ToolCall, identity: str, once: str = "") -> None:
        self._context = context
        self._call = call
        self._identity = identity
        self._once = once
        self.repetition = 0  # how often processes that are gone have begun the call

    def note(self, fact: Fact) -> None:
        """Tell a fact with the next transaction."""
        self._context.memory.journal.note(fact)

    def called(self) -> Fact:
        """Return what is told when the call is made."""
        return self._fact("tool_called", "called", args=dict(self._call["args"]))

    def returned(self, answer: ToolMessage, chars: int, seconds: float = 0.0) -> Fact:
        """Return what is told when the tool has answered.

        Args:
            answer: The answer.
            chars: Characters of the whole answer, which may be longer.
            seconds: Duration of the call.
        """
        _, body, _, note = split_data(answer.text)
        text = body + note
        told: dict[str, Any] = {"answer": text}
        if answer.status == "error":
            told = {"error": text.removeprefix("error: ")}
        if seconds:
            told["seconds"] = round(seconds, 3)
        if labels := tainted_by([answer]):
            told["tainted_by"] = list(labels)
        if chars > len(text):
            told["chars"] = chars
        return self._fact("tool_returned", "returned", **told)

    def refused(self, why: str) -> Fact:
        """Return what is told when the call is not made."""
        return self._fact("tool_refused", "", args=dict(self._call["args"]), why=why)

    def _fact(self, kind: Kind, what: str, **data: Any) -> Fact:
        actor = self._context.actor
        key = f"{actor.task_number} {self._once} {self.repetition} {what}" if self._once and what else ""
        told = {"agent": actor.agent, "tool": self._call["name"], "call": self._identity, **data}
        return Fact(kind, actor.sub_task_id, self._context.calls.attempt, key=key, data=told)
