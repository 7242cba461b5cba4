"""Read the tool calls that stand in the text of an answer.

- Behind a mark, such as `<tool_call>`, everything of the shape of a call is one, whatever its name.
- Without a mark, JSON of the shape of a call is one if it has the name of a tool, or is the whole answer.
- Code quotes: what stands in a code block or between backticks is no call, except JSON alone in its block, and a block
  that is the whole answer. So an answer can show calls without making them.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.models.call_reading.code import Code, unfenced
from orchestrator.models.call_reading.marked import Body, behind, python_calls, read_body
from orchestrator.models.call_reading.marks import (
    BETWEEN,
    GAP,
    LEFTOVER,
    OPENER,
    PYTHON_LIST,
    REACT,
    REACT_END,
    may_have_mark,
)
from orchestrator.models.call_reading.names import named_tool
from orchestrator.models.call_reading.shapes import BROKEN, HEAD, WrittenCall, calls_in
from orchestrator.models.call_reading.values import UnreadableError, read_value

MOST_CALLS = 64
_MOST_PROBLEMS = 4
_JSON_BLOCKS = ("", "json", "jsonc", "json5", "tool", "action")
# Behind these, an object is part of a larger thing, such as code.
_PART_OF = ("(", "[", "{", "=", ",")
_FENCE_LINE = re.compile(r"```\w*")
_BRACKET = re.compile(r"[{\[]")
_NO_TOOL = re.compile(r"final[ _-]?answer|finish|none|n/?a", re.I)


@dataclass(frozen=True)
class Reading:
    """The calls in a text.

    Args:
        calls: The calls, in their order; never empty.
        words: The words before the first call. What follows a call is dropped: the model invents the answers of tools.
    """

    calls: tuple[WrittenCall, ...]
    words: str = ""


def read_calls(text: str, tools: Collection[str]) -> Reading | None:
    """Return the calls in the text of an answer; None for an answer without a call.

    Args:
        text: The text, without thoughts.
        tools: Names of all tools of the model.
    """
    if may_have_mark(text):
        bare = unfenced(text)
        found = _marked(text) or (_marked(bare) if bare != text.strip() else None)
        if found is not None:
            return found
    return _react(text) or _json(text, tools) or _alone(unfenced(text), tools)


def _marked(text: str) -> Reading | None:
    code = Code(text)
    bodies: list[Body] = []
    end = problems = 0
    chain = -1  # the place up to which only marks follow a call
    for opener in OPENER.finditer(text):
        at = opener.start()
        # A fence inside a call, as of DeepSeek, closes in the middle of a line, and seems to go on behind it.
        if at < end or (at > chain and code.at(at) is not None):
            continue
        begin = behind(GAP, text, opener.end())
        body = read_body(text, begin)
        if body is None and _stands_out(text, opener):
            body = Body([WrittenCall("", problem="it holds no name of a tool and no arguments")], opener.end())
        if body is None:
            end = begin  # the marks in between lead to the same place
            continue
        problems += any(call.problem for call in body.calls)
        bodies.append(replace(body, start=at))
        end = max(body.end, begin)
        chain = behind(BETWEEN, text, end)
        if problems >= _MOST_PROBLEMS or sum(len(each.calls) for each in bodies) > MOST_CALLS:
            break
    return _reading(text, bodies)


def _stands_out(text: str, opener: re.Match[str]) -> bool:
    """True if a mark without a call is more than a word in a sentence: it begins a line, or ends the text."""
    before = text[max(0, opener.start() - 80) : opener.start()].rpartition("\n")[2]
    return bool(opener[0].strip()) and (not before.strip() or not text[opener.end() : opener.end() + 80].strip())


def _react(text: str) -> Reading | None:
    if REACT.search(text) is None:
        return None
    code, bodies = Code(text), []
    for match in REACT.finditer(text):
        if code.at(match.start()) is not None or _NO_TOOL.fullmatch(match[1]):
            continue
        try:
            value, end = read_value(text, match.end())
            call = WrittenCall(match[1], value) if isinstance(value, dict) else WrittenCall(match[1], values=(value,))
        except UnreadableError as error:
            stop = REACT_END.search(text, match.end())
            end = stop.start() if stop else len(text)
            words = text[match.end() : end].strip()
            call = WrittenCall(match[1], values=(words,) if words else ())
            if words.startswith(("{", "[")):
                call = WrittenCall(match[1], problem=str(error))
        bodies.append(Body([call], end, match.start()))
        break  # what follows is the model's own invention
    return _reading(text, bodies)


def _json(text: str, tools: Collection[str]) -> Reading | None:
    """Read JSON without a mark, wherever the text is not code."""
    if HEAD.search(text) is None:
        return None
    code, bodies = Code(text), []
    rest: list[str] = []
    behind = 0
    for value, start, end in _values(text):
        calls = calls_in(value, marked=False)
        if not calls or not _may_be_call(text, code, start, end):
            continue
        rest.append(text[behind:start])
        behind = end
        bodies.append(Body(calls, end, start))
    rest.append(text[behind:])
    is_all = not _FENCE_LINE.sub("", "".join(rest)).strip("`~;, \r\n\t")
    bodies = [body for body in bodies if _is_meant(body.calls, tools, is_all=is_all)]
    return _reading(text, bodies)


def _values(text: str) -> Iterator[tuple[Any, int, int]]:
    """Yield the outermost data in a text, with the place where it begins and the place behind it."""
    at, fuel = 0, 2 * len(text) + 10_000
    while fuel > 0 and (match := _BRACKET.search(text, at)) is not None:
        start = match.start()
        try:
            value, at = read_value(text, start)
        except UnreadableError as error:
            # Data that breaks off far behind costs its whole length for each of its brackets.
            fuel -= max(error.at - start, error.cost, 32)
            at = max(start + 1, error.at if error.cost else 0)
            continue
        yield value, start, at


def _may_be_call(text: str, code: Code, start: int, end: int) -> bool:
    block = code.at(start)
    if block is not None:
        first, last = block.inner
        is_data = block.language is not None and block.language in _JSON_BLOCKS
        return is_data and not text[first:start].strip() and not text[end:last].strip("; \r\n\t")
    line = text[max(0, start - 80) : start].rpartition("\n")[2].rstrip()
    return not line.endswith(_PART_OF)


def _is_meant(calls: list[WrittenCall], tools: Collection[str], *, is_all: bool) -> bool:
    if all(named_tool(call.name, tools) for call in calls):
        return True
    return is_all and all(call.is_usual for call in calls)


def _alone(text: str, tools: Collection[str]) -> Reading | None:
    """Read an answer that is nothing but a call in Python, or the JSON of a call with an error in it."""
    if text[:1] not in ("{", "[") and "(" not in text[:200]:
        return None
    if PYTHON_LIST.match(text) or "(" in text[:200]:
        try:
            calls, end = python_calls(text, 0)
        except UnreadableError:
            calls, end = [], 0
        is_list = text.startswith("[") and all(not call.values for call in calls)
        if calls and not text[end:].strip() and _is_meant(calls, tools, is_all=is_list):
            return Reading(tuple(calls))
    broken = BROKEN.match(text)
    if broken is None:
        return None
    try:
        read_value(text)
    except UnreadableError as error:
        return Reading((WrittenCall(broken[1], problem=str(error)),))
    return None


def _reading(text: str, bodies: list[Body]) -> Reading | None:
    if not bodies:
        return None
    calls = tuple(call for body in bodies for call in body.calls)
    if len(calls) > MOST_CALLS:
        calls = (WrittenCall("", problem=f"there are more than {MOST_CALLS} calls in one answer"),)
    return Reading(calls, LEFTOVER.sub("", text[: bodies[0].start]).strip())
