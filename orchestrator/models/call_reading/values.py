"""Read data that is nearly JSON, as models write it, without guessing.

Besides JSON, the reader takes Python's literals, single quotes, a comma before the end, and keys without quotes. It
takes the text delimiters of Gemma too. A text that breaks off, or that could mean two things, is an error. Nothing is
ever evaluated, and the time grows with the length of the text.
"""

import json
import re
import sys
from collections.abc import Callable
from typing import Any

_DEEPEST = 64
_DEEP_COST = 10_000  # the levels that the JSON decoder of Python 3.11 tries before it gives up
_SPACE = re.compile(r"\s*")
_KEY = re.compile(r"([A-Za-z_][\w.-]*)\s*(?=[:=])")
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?(?![\w.])")
_WORD = re.compile(r"[A-Za-z]+(?!\w)")
_WORDS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}
# Possessive, since backtracking over a text without its closing quote would take exponential time.
_DOUBLE = re.compile(r'"((?:[^"\\]++|\\.)*+)"', re.S)
_SINGLE = re.compile(r"'((?:[^'\\]++|\\.)*+)'", re.S)
_GEMMA = re.compile(r'<\|"\|>(.*?)<\|"\|>|<escape>(.*?)<escape>', re.S)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U00[01][0-9a-fA-F]{5}|x[0-9a-fA-F]{2}|.)", re.S)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "'": "'", "\\": "\\", "/": "/", "\n": ""}
_ENDS = {"{": "}", "[": "]", "(": ")"}


class UnreadableError(ValueError):
    """The text holds no data; the message says why, for a model.

    Args:
        why: The reason.
        at: The place up to which the text was read.
        cost: How much text was read in vain; by default up to that place.
    """

    def __init__(self, why: str, at: int = 0, cost: int = 0) -> None:
        super().__init__(why)
        self.at = at
        self.cost = cost


def _refuse(word: str) -> None:
    raise UnreadableError(f"{word} is no JSON")


_JSON = json.JSONDecoder(parse_constant=_refuse, strict=False)


def read_value(text: str, at: int = 0) -> tuple[Any, int]:
    """Return the data that begins at a place in a text, and the place behind it.

    Raises:
        UnreadableError: No whole value stands there.
    """
    at = _space(text, at)
    try:
        value, end = _JSON.raw_decode(text, at)
    except UnreadableError:
        raise
    except (ValueError, RecursionError):
        return _value(text, at, 0)
    return value, end


def whole_value(text: str) -> Any:
    """Return the data that a whole text stands for.

    Raises:
        UnreadableError: The text is not one value.
    """
    value, end = read_value(text)
    if (end := _space(text, end)) < len(text):
        raise UnreadableError("there is more text behind the first value", end)
    return value


def _space(text: str, at: int) -> int:
    return _SPACE.match(text, at).end()  # type: ignore[union-attr]  # matches the empty text too


def _value(text: str, at: int, depth: int) -> tuple[Any, int]:
    at = _space(text, at)
    first = text[at : at + 1]
    if not first:
        raise UnreadableError("the text breaks off", at)
    if first in _ENDS:
        if depth >= _DEEPEST:
            raise UnreadableError("it is nested too deeply", at, _DEEP_COST)
        return _members(text, at + 1, depth, _ENDS[first], _entry if first == "{" else _value)
    if (quoted := quoted_text(text, at)) is not None:
        return quoted
    if (match := _NUMBER.match(text, at)) is not None:
        try:
            digits = match[0].lstrip("+")
            return (int(digits) if digits.lstrip("-").isdigit() else float(digits)), match.end()
        except ValueError:  # Python takes no more than 4300 digits
            raise UnreadableError("a number is too long", at) from None
    if (match := _WORD.match(text, at)) is not None and match[0] in _WORDS:
        return _WORDS[match[0]], match.end()
    raise UnreadableError(f"there is no value at {text[at : at + 20]!r}", at)


def quoted_text(text: str, at: int) -> tuple[str, int] | None:
    """Return the quoted text that begins at a place, and the place behind it; None where no quote stands.

    Raises:
        UnreadableError: The quote is not closed.
    """
    if text.startswith(("<|", "<e"), at):
        if (match := _GEMMA.match(text, at)) is None:
            return None
        return match[1] if match[1] is not None else match[2], match.end()
    if not text.startswith(("'", '"'), at):
        return None
    if (fence := text[at : at + 3]) in ("'''", '"""'):  # Python's long texts, which hold code
        if (end := text.find(fence, at + 3)) < 0:
            raise UnreadableError("a text breaks off", len(text))
        return _ESCAPE.sub(_unescaped, text[at + 3 : end]), end + 3
    match = (_DOUBLE if text[at] == '"' else _SINGLE).match(text, at)
    if match is None:
        raise UnreadableError("a text breaks off", len(text))
    return (_ESCAPE.sub(_unescaped, match[1]) if "\\" in match[1] else match[1]), match.end()


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    if len(code) > 1:
        return chr(min(int(code[1:], 16), sys.maxunicode))
    return _ESCAPED.get(code, match[0])  # as Python does with what is no escape


def _members(
    text: str, at: int, depth: int, end: str, read: Callable[[str, int, int], tuple[Any, int]]
) -> tuple[Any, int]:
    """Read what stands between two brackets: the members of a list, or the entries of an object."""
    members: list[Any] = []
    while True:
        at = _space(text, at)
        if text.startswith(end, at):
            return dict(members) if read is _entry else members, at + 1
        member, at = read(text, at, depth + 1)
        members.append(member)
        at = _space(text, at)
        if text.startswith(",", at):
            at += 1
        elif not text.startswith(end, at):
            raise UnreadableError("the text breaks off" if at >= len(text) else f"'{end}' or ',' is missing", at)


def _entry(text: str, at: int, depth: int) -> tuple[tuple[str, Any], int]:
    if (match := _KEY.match(text, at)) is not None:
        key, at = match[1], match.end()
    elif (quoted := quoted_text(text, at)) is not None:
        key, at = quoted[0], _space(text, quoted[1])
    else:
        raise UnreadableError("the text breaks off" if at >= len(text) else "a key is missing", at)
    if not text.startswith(":", at):
        raise UnreadableError("the text breaks off" if at >= len(text) else "':' is missing after a key", at)
    value, at = _value(text, at + 1, depth)
    return (key, value), at


def read_arguments(text: str, at: int) -> tuple[list[Any], dict[str, Any], int]:
    """Read the arguments of a call as Python writes them, from behind the opening bracket.

    Returns:
        The values without a name, those with one, and the place behind the closing bracket.

    Raises:
        UnreadableError: They are no plain values, or break off.
    """
    plain: list[Any] = []
    named: dict[str, Any] = {}
    while True:
        at = _space(text, at)
        if text.startswith(")", at):
            return plain, named, at + 1
        if (match := _KEY.match(text, at)) is not None and text.startswith("=", match.end()):
            named[match[1]], at = _value(text, match.end() + 1, 1)
        else:
            value, at = _value(text, at, 1)
            plain.append(value)
        at = _space(text, at)
        if text.startswith(",", at):
            at += 1
        elif not text.startswith(")", at):
            raise UnreadableError("the text breaks off" if at >= len(text) else "')' or ',' is missing", at)
