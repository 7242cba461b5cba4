"""AttemptEnd: why an attempt ended before its worker had finished.

It is a mark on the messages of the attempt, so it is checkpointed with them. Otherwise a kill between the last step and
the filing of the result would lose it, and half a result would count as a whole one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage

from orchestrator.budget.budget import BudgetSpentError
from orchestrator.messages import ASKED, ATTEMPT_END, is_stopped


@dataclass(frozen=True)
class AttemptEnd:
    """The reason; exactly one field is set.

    Args:
        stopped: A human stopped the run at the review of a tool call.
        limit: The limit of the budget that left no room for another call.
        stalled: What the worker kept repeating, as a sentence.
    """

    stopped: bool = False
    limit: BudgetSpentError | None = None
    stalled: str = ""

    def message(self, text: str, answer: AIMessage | None = None) -> AIMessage:
        """Return the last message of the attempt, with the mark.

        Args:
            text: Its text.
            answer: The answer of the model in whose place it stands; None if the model was not asked.
        """
        mark: dict[str, Any] = {"stopped": self.stopped, "stalled": self.stalled, ASKED: answer is not None}
        if self.limit is not None:
            mark["limit"] = self.limit.plain()
        marks = {ATTEMPT_END: {name: value for name, value in mark.items() if value}}
        usage = answer.usage_metadata if answer is not None else None
        return AIMessage(text, additional_kwargs=marks, usage_metadata=usage)

    @classmethod
    def of(cls, messages: Sequence[BaseMessage]) -> "AttemptEnd | None":
        """Return the reason marked on a conversation, or None if the worker finished."""
        mark = messages[-1].additional_kwargs.get(ATTEMPT_END) if messages else None
        if mark is None:
            # A stop can end the attempt right after the tool's answer, before a message of the model carries a mark.
            return cls(stopped=True) if is_stopped(messages) else None
        limit = BudgetSpentError(*mark["limit"]) if "limit" in mark else None
        return cls(bool(mark.get("stopped")), limit, mark.get("stalled", ""))
