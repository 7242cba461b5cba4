"""Arguments of tool calls in every form that can mean one thing only."""

import json
import math
from collections.abc import Mapping
from typing import Any

from orchestrator.models.call_reading.values import UnreadableError, whole_value

_MOST_LAYERS = 4  # of JSON in JSON


def arguments_of(sent: object) -> dict[str, Any]:
    """Return arguments as the object that they stand for.

    Nothing, an object instead of its JSON, JSON in JSON, Python's literals and a list of one object are taken.

    Args:
        sent: What the model has sent.

    Raises:
        UnreadableError: They could mean several things, or are not whole.
    """
    for _ in range(_MOST_LAYERS):
        if isinstance(sent, list | tuple) and len(sent) <= 1:
            sent = sent[0] if sent else None
        if isinstance(sent, str):
            sent = whole_value(sent) if sent.strip() else None
        if sent is None:
            return {}
        if isinstance(sent, Mapping):
            return checked({str(name): value for name, value in sent.items()})
    raise UnreadableError(f"they are {_kind(sent)} and not one object")


def strict_arguments(text: object) -> dict[str, Any] | None:
    """Return arguments that are the JSON of an object, as an endpoint has to send them; None for others."""
    try:
        sent = json.loads(text) if isinstance(text, str) else None
        return checked(sent) if isinstance(sent, dict) else None
    except (ValueError, RecursionError):
        return None


def checked(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments if JSON can hold them.

    Raises:
        UnreadableError: A number is none, or infinite.
    """
    todo: list[object] = [arguments]
    while todo:
        value = todo.pop()
        if isinstance(value, float) and not math.isfinite(value):
            raise UnreadableError(f"{value} is no number of JSON")
        if isinstance(value, Mapping):
            todo.extend(value.values())
        elif isinstance(value, list | tuple):
            todo.extend(value)
    return arguments


def _kind(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    return {str: "a text", bool: "true or false", int: "a number", float: "a number"}.get(type(value), "something else")
