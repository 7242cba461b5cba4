"""The marks that the engine puts on LangChain messages, and the characters that it takes out of them."""

from collections.abc import Iterable, Mapping, Sequence

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from orchestrator.redaction import hide_known
from orchestrator.text import sound_json

# Marks in a message's `additional_kwargs`. Threads store them: keep the names.
FIRST_CALL = "opening"
ATTEMPT_END = "attempt_end"
ASKED = "asked"  # within the mark of an end
_STEERED = "steered"
_STOPPED = "stopped"
_WINDOW = "window"
_CALL_PROBLEMS = "call_problems"


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


def mark_window(message: BaseMessage, tokens: int) -> None:
    """Mark a message that was made for a model with a window of so many tokens."""
    message.additional_kwargs[_WINDOW] = tokens


def window_of(message: BaseMessage) -> int:
    """Return the window of the model that a message was made for; 0 if it has no such mark."""
    return int(message.additional_kwargs.get(_WINDOW, 0))


def mark_stopped(message: ToolMessage) -> ToolMessage:
    """Mark the answer of a tool call at whose review a human stopped the run; return the same message."""
    message.additional_kwargs[_STOPPED] = True
    return message


def is_stopped(messages: Sequence[BaseMessage]) -> bool:
    """True if a human stopped the run at a tool call of this conversation."""
    return any(_STOPPED in message.additional_kwargs for message in messages)


def make_sound(messages: Iterable[BaseMessage]) -> None:
    """Replace, in place, the characters of a model's answers that no database takes, and the keys of models."""
    for message in messages:
        for name in ("content", "tool_calls", "invalid_tool_calls", "additional_kwargs", "response_metadata"):
            value = getattr(message, name, None)
            if (replaced := hide_known(sound_json(value))) is not value:
                setattr(message, name, replaced)


def mark_call_problems(kwargs: dict[str, object], problems: Mapping[str, str]) -> None:
    """Mark, in a message's `additional_kwargs`, the calls that are not made, by id, with the text that answers them."""
    if problems:
        kwargs[_CALL_PROBLEMS] = dict(problems)


def call_problem(messages: Sequence[BaseMessage], call_id: str | None) -> str:
    """Return the text that answers a call of the newest answer in its tool's place; empty if the call can be made."""
    newest = next((message for message in reversed(messages) if isinstance(message, AIMessage)), None)
    problems = newest.additional_kwargs.get(_CALL_PROBLEMS) if newest is not None else None
    return str(problems.get(call_id or "", "")) if isinstance(problems, Mapping) else ""
