"""What a search found, in one shape whether it comes from the web or from a folder of documents."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Found:
    """One result of a search.

    Args:
        source: Where it comes from: an address in the web, or a document's file.
        title: What it is called there; for a passage with the headings above it.
        excerpt: The passage itself, or the part of it that fits.
        date: The day it states of itself, as YYYY-MM-DD; None when it states none.
    """

    source: str
    title: str
    excerpt: str
    date: str | None = None


def rendered(results: Sequence[Found]) -> list[str]:
    """Results as a model reads them, one text each, numbered from 1.

    Args:
        results: What was found, best first.
    """
    return [
        f"{number}. {one.source} > {one.title}\n{one.excerpt}" + (f"\n(date: {one.date})" if one.date else "")
        for number, one in enumerate(results, start=1)
    ]


def room_for(source: str, title: str, date: str | None) -> int:
    """How many characters a result takes in `rendered` besides its excerpt, the blank line behind it included.

    Args:
        source: As in `Found`.
        title: As in `Found`.
        date: As in `Found`.
    """
    # The first 9 are "(date: )" with its line break. The other 9 are "1. ", " > " and three line breaks.
    return len(source) + len(title) + (len(date) + 9 if date else 0) + 9
