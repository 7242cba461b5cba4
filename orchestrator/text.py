"""Texts: comparing them, counting their tokens, and shortening a long one without losing any of it.

tiktoken's vocabularies are fetched over the network at first use, and endpoints have tokenizers of their own. So a
text is counted by a bound that holds for the common byte-pair vocabularies: about four characters a token in English,
two in dense figures and code, and never more than one token a byte. Three bytes a token leaves a margin for prose;
digits and punctuation, which split finer, count one each.
"""

import re
from functools import lru_cache

_FINE = re.compile(r"[^\w\s]|\d")
_MESSAGE_OVERHEAD = 8
_SHORT_CHARS = 4096  # the results of sub-tasks are counted again by each worker that is shown them
_NOISE = re.compile(r"[\W_]+")


def normal_text(text: str) -> str:
    """A text without differences in space. Case and punctuation stay: in code, and in figures, they matter."""
    return " ".join(text.split())


def same_text(first: str, second: str) -> bool:
    """Whether two answers are the same; empty ones never are."""
    one = normal_text(first)
    return bool(one) and one == normal_text(second)


def same_words(first: str, second: str) -> bool:
    """Whether two remarks say the same in the same words, whatever their case and punctuation."""
    one = bare_words(first)
    return bool(one) and one == bare_words(second)


def bare_words(text: str) -> str:
    """Return a text in lower case, without punctuation and extra space."""
    return _NOISE.sub(" ", text.casefold()).strip()


def count_tokens(text: str) -> int:
    """An estimate from above of the tokens in a text."""
    return _counted_once(text) if len(text) <= _SHORT_CHARS else _counted(text)


@lru_cache(maxsize=1024)
def _counted_once(text: str) -> int:
    return _counted(text)


def _counted(text: str) -> int:
    fine = len(_FINE.findall(text))
    return fine + (len(text.encode("utf-8")) - fine + 2) // 3


def count_messages(texts: list[str]) -> int:
    """The same for a list of chat messages, with what the chat format adds to each."""
    return sum(count_tokens(text) + _MESSAGE_OVERHEAD for text in texts)


def excerpt(text: str, tokens: int, key: str, *, start: int = 0) -> str:
    """The part of a text from `start` that fits into `tokens`, and how to read on where it does not end.

    Args:
        text: The whole text.
        tokens: What the excerpt may cost, its note included.
        key: The text's key in the shared memory.
        start: First character.
    """
    return "".join(excerpt_parts(text, tokens, key, start=start))


def excerpt_parts(text: str, tokens: int, key: str, *, start: int = 0, most: int | None = None) -> tuple[str, str]:
    """The same as two parts, the text and the note about the rest.

    Args:
        text: As for `excerpt`.
        tokens: As for `excerpt`.
        key: As for `excerpt`.
        start: As for `excerpt`.
        most: Most characters; None for no such limit.
    """
    rest = text[start:]
    if count_tokens(rest) <= tokens and (most is None or len(rest) <= most):
        return rest, ""
    end = _fitting(rest if most is None else rest[:most], max(16, tokens - 48))
    stop = start + end
    left = len(text) - stop
    return rest[:end], f'\n[… {left} of {len(text)} characters more: read_memory(key="{key}", start={stop})]'


def _fitting(text: str, tokens: int) -> int:
    """The largest length, cut at a word's end, whose count fits."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if count_tokens(text[:middle]) <= tokens:
            low = middle
        else:
            high = middle - 1
    space = text.rfind(" ", max(0, low - 40), low)
    return space if space > 0 else max(1, low)


def sound(text: str) -> str:
    """The text without halves of surrogate pairs, which no database and no endpoint takes."""
    return text.encode("utf-8", "replace").decode("utf-8")
