"""Texts: comparing them, counting their tokens, and shortening them.

Tokens are counted by a bound that holds for the common byte-pair vocabularies. tiktoken would fetch its vocabularies
over the network at first use, and endpoints have tokenizers of their own.
"""

import operator
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

# Byte-pair vocabularies make about four characters a token in English, two in dense figures and code, and never more
# than one token a byte. Three bytes a token leaves a margin for prose. Digits and punctuation, which split finer, count
# one each.
_FINE = re.compile(r"[^\w\s]|\d")
_BYTES_PER_TOKEN = 3

_CACHED_CHARS = 4096  # each worker that is shown a sub-task's result counts it again
_NOTE_TOKENS = 48  # what the note of an excerpt costs at most

READ_ON = "read_memory(key="
"""Begins the call in a note on how to read on."""
_READ_ON_NOTE = re.compile(r'\n\[… \d+ of (\d+) characters more: read_memory\(key="([^"\n]*)", start=(\d+)\)\]\Z')

_NOT_WORDS = re.compile(r"[\W_]+")
_BROKEN = re.compile("[\0\ud800-\udfff]")
_REPLACEMENT = "\ufffd"


def normal_text(text: str) -> str:
    """Return the text with single spaces. Case and punctuation stay: they matter in code and in figures."""
    return " ".join(text.split())


def same_text(first: str, second: str) -> bool:
    """True if two answers differ at most in space. Empty answers are never the same."""
    normal = normal_text(first)
    return bool(normal) and normal == normal_text(second)


def bare_words(text: str) -> str:
    """Return the text in lower case, without punctuation and extra space."""
    return _NOT_WORDS.sub(" ", text.casefold()).strip()


def shorten(text: str, most: int) -> str:
    """Return the text, cut to `most` characters with an ellipsis where it is longer."""
    return text if len(text) <= most else text[: most - 1] + "…"


def count_tokens(text: str) -> int:
    """Return an estimate from above of the tokens in a text."""
    return _cached_count(text) if len(text) <= _CACHED_CHARS else _count(text)


@lru_cache(maxsize=1024)
def _cached_count(text: str) -> int:
    return _count(text)


def _count(text: str) -> int:
    fine = len(_FINE.findall(text))
    return fine + (len(text.encode("utf-8", "surrogatepass")) - fine + _BYTES_PER_TOKEN - 1) // _BYTES_PER_TOKEN


@dataclass(frozen=True)
class ReadOnNote:
    """The note at the end of an excerpt: how to read on in the text.

    Args:
        total: Number of characters of the text.
        key: The text's key in the shared memory.
        start: The first character that is not shown.
    """

    total: int
    key: str
    start: int

    def __str__(self) -> str:
        left = self.total - self.start
        return f'\n[… {left} of {self.total} characters more: {READ_ON}"{self.key}", start={self.start})]'

    @classmethod
    def split(cls, text: str) -> "tuple[str, ReadOnNote | None]":
        """Return a text without the note at its end, and the note; None where there is none."""
        match = _READ_ON_NOTE.search(text)
        return (text[: match.start()], cls(int(match[1]), match[2], int(match[3]))) if match else (text, None)


def excerpt(text: str, tokens: int, key: str, *, start: int = 0) -> str:
    """Return the part of a text from `start` that fits into `tokens`, with a note that says how to read on.

    Args:
        text: The whole text.
        tokens: The most that the excerpt may cost, its note included.
        key: The text's key in the shared memory.
        start: The first character.
    """
    return "".join(excerpt_parts(text, tokens, key, start=start))


def excerpt_parts(text: str, tokens: int, key: str, *, start: int = 0, most: int | None = None) -> tuple[str, str]:
    """Return an excerpt in two parts, the text and the note. The note is empty where the text ends.

    Args:
        text: As for `excerpt`.
        tokens: As for `excerpt`.
        key: As for `excerpt`.
        start: As for `excerpt`.
        most: The most characters; None for no such limit.
    """
    rest = text[start:]
    if count_tokens(rest) <= tokens and (most is None or len(rest) <= most):
        return rest, ""
    end = _fitting_length(rest if most is None else rest[:most], max(16, tokens - _NOTE_TOKENS))
    return rest[:end], str(ReadOnNote(len(text), key, start + end))


def _fitting_length(text: str, tokens: int) -> int:
    """Return the largest length that fits into `tokens`, cut at the end of a word where one is near."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if count_tokens(text[:middle]) <= tokens:
            low = middle
        else:
            high = middle - 1
    space = text.rfind(" ", max(0, low - 40), low)
    # At least one character, or reading on would never come to the end.
    return space if space > 0 else max(1, low)


def sound(text: str) -> str:
    """Return a text that every database and endpoint takes.

    Halves of surrogate pairs come from terminals in another encoding and from models that are cut off inside an
    emoji; Postgres refuses NUL in JSON. Both become the replacement character.
    """
    if text.isascii():
        return text.replace("\0", _REPLACEMENT) if "\0" in text else text
    if not _BROKEN.search(text):
        return text
    # By way of UTF-16, two halves that stand side by side become the character that they mean.
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole.replace("\0", _REPLACEMENT)


def sound_json(value: Any) -> Any:
    """Return JSON-plain data with every text in it sound; the same object if nothing had to be replaced."""
    if isinstance(value, str):
        return sound(value)
    if isinstance(value, dict):
        pairs = [(sound_json(key), sound_json(part), key, part) for key, part in value.items()]
        if all(key is old_key and part is old for key, part, old_key, old in pairs):
            return value
        return {key: part for key, part, _, _ in pairs}
    if isinstance(value, list | tuple):
        parts = [sound_json(part) for part in value]
        return value if all(map(operator.is_, parts, value)) else type(value)(parts)
    return value
