"""Reading LangChain messages: what they cost, and the marks that the engine puts on them.

Usage is a plain dict of integers, so that it adds up in the graph's state.
"""

from collections.abc import Iterable, Sequence

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

Usage = dict[str, int]

# Marks in a message's `additional_kwargs`. Threads store them: keep the names.
FIRST_CALL = "opening"
_STOPPED = "stopped"


def is_first_call(message: BaseMessage) -> bool:
    """True for a tool call that the engine made in the worker's name. No model was asked for it."""
    return FIRST_CALL in message.additional_kwargs


def mark_stopped(message: ToolMessage) -> ToolMessage:
    """Mark the answer of a tool call at whose review a human stopped the run; return the same message."""
    message.additional_kwargs[_STOPPED] = True
    return message


def is_stopped(messages: Sequence[BaseMessage]) -> bool:
    """True if a human stopped the run at a tool call of this conversation."""
    return any(_STOPPED in message.additional_kwargs for message in messages)


def usage_of(messages: Iterable[BaseMessage]) -> Usage:
    """Return the tokens, model calls and tool calls of an agent's messages. Endpoints report the tokens."""
    total = {"input_tokens": 0, "output_tokens": 0, "model_calls": 0, "tool_calls": 0}
    for message in messages:
        if isinstance(message, AIMessage) and not is_first_call(message):
            total["model_calls"] += 1
            if message.usage_metadata:
                total["input_tokens"] += message.usage_metadata["input_tokens"]
                total["output_tokens"] += message.usage_metadata["output_tokens"]
        elif isinstance(message, ToolMessage):
            total["tool_calls"] += 1
    return {name: value for name, value in total.items() if value}


def add_usage(*parts: Usage) -> Usage:
    """Return the sum of usages, by name."""
    total: Usage = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0) + value
    return total
