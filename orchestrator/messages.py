"""The marks that the engine puts on LangChain messages, and the characters that it takes out of them."""

from collections.abc import Iterable, Sequence

from langchain_core.messages import BaseMessage, ToolMessage

from orchestrator.text import sound_json

# Marks in a message's `additional_kwargs`. Threads store them: keep the names.
FIRST_CALL = "opening"
ATTEMPT_END = "attempt_end"
ASKED = "asked"  # within the mark of an end
_STEERED = "steered"
_STOPPED = "stopped"


def is_first_call(message: BaseMessage) -> bool:
    """True for a tool call that the engine made in the worker's name. No model was asked for it."""
    return FIRST_CALL in message.additional_kwargs


def is_asked(message: BaseMessage) -> bool:
    """True if a model was asked for a message. The engine writes first calls and ends of attempts itself."""
    end = message.additional_kwargs.get(ATTEMPT_END)
    # An end that stands in the place of a model's answer was asked for, and paid.
    return not is_first_call(message) and (end is None or bool(end.get(ASKED)))


def mark_steered(message: BaseMessage, number: int) -> None:
    """Mark a message that holds the instructions of humans up to a number."""
    message.additional_kwargs[_STEERED] = number


def steered_up_to(messages: Iterable[BaseMessage]) -> int:
    """Return the number of the newest instruction that a conversation holds; 0 for none."""
    return max((int(message.additional_kwargs.get(_STEERED, 0)) for message in messages), default=0)


def mark_stopped(message: ToolMessage) -> ToolMessage:
    """Mark the answer of a tool call at whose review a human stopped the run; return the same message."""
    message.additional_kwargs[_STOPPED] = True
    return message


def is_stopped(messages: Sequence[BaseMessage]) -> bool:
    """True if a human stopped the run at a tool call of this conversation."""
    return any(_STOPPED in message.additional_kwargs for message in messages)


def make_sound(messages: Iterable[BaseMessage]) -> None:
    """Replace, in place, the characters of a model's answers that no database takes."""
    for message in messages:
        for name in ("content", "tool_calls", "invalid_tool_calls", "additional_kwargs", "response_metadata"):
            value = getattr(message, name, None)
            if (replaced := sound_json(value)) is not value:
                setattr(message, name, replaced)
