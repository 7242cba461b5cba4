"""Read what stands behind a mark of calls."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from orchestrator.models.call_reading.marks import (
    ARGUMENT,
    ARGUMENT_BEGIN,
    BETWEEN,
    JSON_BEGIN,
    NAME,
    PARAMETER,
    PARAMETER_END,
    PYTHON_CALL,
    PYTHON_LIST,
    SEPARATOR,
    TAG,
)
from orchestrator.models.call_reading.shapes import BROKEN, WrittenCall, calls_in
from orchestrator.models.call_reading.values import UnreadableError, read_arguments, read_value


@dataclass(frozen=True)
class Body:
    """The calls behind one mark.

    Args:
        calls: The calls; one that cannot be read says why.
        end: The place behind them.
        start: The place of the mark.
    """

    calls: list[WrittenCall]
    end: int
    start: int = 0


_Reader = Callable[[str, int], "tuple[list[WrittenCall], int] | None"]


def read_body(text: str, at: int) -> Body | None:
    """Return the calls that begin at a place, behind a mark; None where nothing looks like one.

    Args:
        text: The text.
        at: The place behind the mark and all that may stand between.
    """
    calls: list[WrittenCall] = []
    end = at
    while True:
        try:
            found = next((read for reader in _READERS if (read := reader(text, at)) is not None), None)
        except UnreadableError as error:
            if calls:
                break  # what follows the calls is something else
            return Body([WrittenCall(_name_at(text, at), problem=str(error))], max(error.at, at))
        if found is None:
            break
        calls += found[0]
        end = found[1]
        at = behind(BETWEEN, text, end)
        if not text.startswith("{", at):  # the next call has a mark of its own
            return Body(calls, end)
    return Body(calls, end) if calls else None


def behind(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Return the place behind everything that a pattern matches at a place."""
    return pattern.match(text, at).end()  # type: ignore[union-attr]  # these match the empty text too


def _name_at(text: str, at: int) -> str:
    """Return the name of a call that cannot be read, as far as the text shows it."""
    match = BROKEN.match(text, at) or TAG.match(text, at) or NAME.match(text, at)
    return match[1] if match is not None else ""


def _json(text: str, at: int) -> tuple[list[WrittenCall], int] | None:
    if not text.startswith(("{", "[", '"'), at):
        return None
    value, end = read_value(text, at)
    if isinstance(value, str):  # JSON in JSON, or a name in quotes
        try:
            value, _ = read_value(value)
        except UnreadableError:
            return None
    calls = calls_in(value, marked=True) or _by_name(value)
    if not calls:
        raise UnreadableError("it holds no name of a tool and no arguments", end)
    return calls, end


def _by_name(value: object) -> list[WrittenCall]:
    """Return the calls in a list of `{name: arguments}`, as Apertus writes them."""
    items = value if isinstance(value, list) else [value]
    pairs = [next(iter(item.items())) for item in items if isinstance(item, dict) and len(item) == 1]
    if not items or len(pairs) < len(items) or not all(isinstance(arguments, dict) for _, arguments in pairs):
        return []
    return [WrittenCall(str(name), arguments) for name, arguments in pairs]


def _tagged(text: str, at: int) -> tuple[list[WrittenCall], int] | None:
    tag = TAG.match(text, at)
    if tag is None:
        return None
    name, at = tag[1], tag.end()
    parameters: dict[str, Any] = {}
    while (opening := PARAMETER.match(text, at)) is not None:
        closing = PARAMETER_END.search(text, opening.end())
        if closing is None:
            raise UnreadableError(f"the argument '{opening[1]}' breaks off", len(text))
        # The template adds the line ends around the value.
        value = text[opening.end() : closing.start()].removeprefix("\n").removesuffix("\n")
        parameters[opening[1]], at = value, closing.end()
    begin = JSON_BEGIN.match(text, at)
    if parameters or begin is None:
        return [WrittenCall(name, parameters, is_text=True)], at
    value, end = read_value(text, begin.end())
    return [WrittenCall(name, value)], end


def _named(text: str, at: int) -> tuple[list[WrittenCall], int] | None:
    named = NAME.match(text, at)
    if named is None:
        return None
    name, end = named[1], named.end()
    at = behind(SEPARATOR, text, end)
    if text.startswith("{", at):
        value, end = read_value(text, at)
        return [WrittenCall(name.rstrip(":"), value)], end
    if ARGUMENT_BEGIN.match(text, at):
        return _glm(text, name, at)
    if at >= len(text) or text.startswith(("</", "<\uff5c", "<|", "<tool_call|"), at):  # a call without arguments
        return [WrittenCall(name)], end
    return None


def _glm(text: str, name: str, at: int) -> tuple[list[WrittenCall], int]:
    arguments: dict[str, Any] = {}
    while (pair := ARGUMENT.match(text, at)) is not None:
        arguments[pair[1].strip()], at = pair[2], pair.end()
    if ARGUMENT_BEGIN.match(text, at):
        raise UnreadableError("an argument breaks off", len(text))
    return [WrittenCall(name, arguments, is_text=True)], at


def _python(text: str, at: int) -> tuple[list[WrittenCall], int] | None:
    if not (PYTHON_LIST.match(text, at) or PYTHON_CALL.match(text, at)):
        return None
    return python_calls(text, at)


def python_calls(text: str, at: int) -> tuple[list[WrittenCall], int]:
    """Return the calls in Python that begin at a place, alone or as a list, and the place behind them.

    Raises:
        UnreadableError: There are none, or their arguments are no plain values.
    """
    is_list = text.startswith("[", at)
    at += is_list
    calls: list[WrittenCall] = []
    while (head := PYTHON_CALL.match(text, at)) is not None:
        values, named, at = read_arguments(text, head.end())
        calls.append(WrittenCall(head["name"], named, tuple(values)))
        if head["print"]:
            at = _closing(text, at, ")")
        following = behind(BETWEEN, text, at)
        if not (is_list or "\n" in text[at:following]) or PYTHON_CALL.match(text, following) is None:
            break
        at = following
    if not calls:
        raise UnreadableError("there is no call", at)
    return calls, _closing(text, at, "]") if is_list else at


def _closing(text: str, at: int, bracket: str) -> int:
    at = behind(BETWEEN, text, at)
    if not text.startswith(bracket, at):
        raise UnreadableError(f"'{bracket}' is missing", at)
    return at + 1


# The order matters: a list of calls in Python begins like a list in JSON, and a tag like no other.
_READERS: tuple[_Reader, ...] = (_tagged, _python, _json, _named)
