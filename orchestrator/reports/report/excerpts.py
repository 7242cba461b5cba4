"""Excerpts: how much of a text stands in a report, so that a large run stays a file that one can send."""

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.text import normal_text, shorten

MOST_CHARS = 8_000_000
"""The most characters of long texts in one file, by and large."""

_LIMITS = (100_000, 50_000, 20_000, 10_000, 5_000, 2_000)
_SHORT_CHARS, _SHORT_LINES = 400, 8
_HEAD_CHARS = 110


@dataclass(frozen=True)
class Excerpt:
    """The part of a text that a report shows.

    Args:
        text: The part.
        head: Its beginning on one line.
        total: Number of characters of the whole text.
    """

    text: str
    head: str
    total: int

    @property
    def left(self) -> int:
        """Number of characters that the report leaves out."""
        return self.total - len(self.text)

    @property
    def is_short(self) -> bool:
        """True if it can be shown unfolded."""
        return len(self.text) <= _SHORT_CHARS and self.text.count("\n") < _SHORT_LINES


def excerpt_of(text: str, limit: int) -> Excerpt:
    """Return the beginning of a text.

    Args:
        text: The text.
        limit: The most characters.
    """
    body = text[:limit]
    # Of a line of megabytes, only the beginning is looked at for the head.
    return Excerpt(body, shorten(normal_text(body[: 4 * _HEAD_CHARS]), _HEAD_CHARS), len(text))


def fitting_limit(texts: Iterable[str]) -> int:
    """Return the most characters of each text with which all together make a file of a size that one can send."""
    # By steps, so that two reports of one run have the same limit though a status has changed in between.
    lengths = [len(text) for text in texts]
    fitting = (limit for limit in _LIMITS if sum(min(length, limit) for length in lengths) <= MOST_CHARS)
    return next(fitting, _LIMITS[-1])
