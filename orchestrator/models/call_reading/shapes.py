"""Shapes of calls as JSON: the pairs of keys that models use for the name and the arguments."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_NAMES = ("name", "tool_name", "tool", "function_name", "recipient_name", "action", "function")
_ARGUMENTS = ("arguments", "parameters", "args", "params", "input", "tool_input", "action_input", "tool_args")
_WRAPPERS = ("tool_calls", "tool_call", "function_call", "function_calls", "function")
# Keys beside the pair that say nothing against a call.
_BESIDE = frozenset({"id", "type", "index", "call_id", "tool_call_id", "thought", "thoughts", "reasoning"})
# Other pairs occur in data too. They are calls only if the name is a tool's.
_USUAL = frozenset(
    {("name", "arguments"), ("name", "parameters"), ("function", "arguments"), ("tool", "args"), ("tool", "arguments")}
    | {("tool_name", "tool_input"), ("tool_name", "parameters"), ("action", "action_input")}
)


def _any_key(*keys: str) -> str:
    return rf"""["'](?:{"|".join(keys)})["']\s*:\s*"""


# The first keys of a call, or of a list of calls.
HEAD = re.compile(rf"\{{\s*{_any_key(*_NAMES, *_WRAPPERS, *_ARGUMENTS, *_BESIDE)}")
# Enough of a call to know that it is one, though it breaks off or holds an error.
BROKEN = re.compile(
    rf"""\s*\[?\s*\{{\s*(?:{_any_key("id", "type")}["'][^"']*["']\s*,\s*)?{_any_key(*_NAMES)}"""
    rf"""(?:\{{\s*{_any_key("name")})?["']([^"']+)["']\s*(?:,\s*{_any_key(*_ARGUMENTS)}|,?\s*\Z)"""
)


@dataclass(frozen=True)
class WrittenCall:
    """A call that stands in a text.

    Args:
        name: The name, as the model has written it.
        arguments: The arguments: an object, or JSON of one.
        values: Arguments without a name.
        is_text: All arguments are texts, since the form has no other type.
        problem: The reason why the call cannot be read; empty for none.
        is_usual: The form is of use for calls only.
    """

    name: str
    arguments: object = None
    values: tuple[Any, ...] = ()
    is_text: bool = False
    problem: str = ""
    is_usual: bool = field(default=True, compare=False)


def calls_in(value: object, *, marked: bool) -> list[WrittenCall]:
    """Return the calls that data stands for; empty for data that is no call, or holds anything else.

    Args:
        value: The data.
        marked: The data stands behind a mark of calls.
    """
    if isinstance(value, list | tuple):
        inner = [calls_in(item, marked=marked) for item in value]
        return [call for calls in inner for call in calls] if all(inner) else []
    if not isinstance(value, Mapping):
        return []
    for key in _WRAPPERS:
        if isinstance(value.get(key), list | Mapping) and _is_alone(value, {key}, marked):
            return calls_in(value[key], marked=marked)
    name_key = next((key for key in _NAMES if isinstance(value.get(key), str) and value[key].strip()), None)
    if name_key is None:
        return []
    args_key = next((key for key in _ARGUMENTS if key in value), None)
    if args_key is None and not (marked or name_key in ("tool", "tool_name", "function")):
        return []
    if not _is_alone(value, {name_key, args_key or ""}, marked) or _is_definition(value.get(args_key or "")):
        return []
    return [WrittenCall(value[name_key], value.get(args_key or ""), is_usual=(name_key, args_key) in _USUAL)]


def _is_alone(value: Mapping[str, Any], keys: set[str], marked: bool) -> bool:
    return marked or keys | _BESIDE >= value.keys()


def _is_definition(arguments: object) -> bool:
    """True for the JSON schema of a tool's arguments, which stands in the tool's definition."""
    return isinstance(arguments, Mapping) and arguments.get("type") == "object" and "properties" in arguments
