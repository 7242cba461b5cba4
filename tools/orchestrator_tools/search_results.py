"""Search results, in one shape for the web and for folders of documents."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Found:
    """One result of a search.

    Args:
        source: An address in the web, or a document's file.
        title: The title of the page or document; for a passage, with the headings above it.
        excerpt: The passage, or the part of it that fits.
        date: The date that the page or document states, as YYYY-MM-DD; None without one.
    """

    source: str
    title: str
    excerpt: str
    date: str | None = None


def rendered(results: Sequence[Found]) -> list[str]:
    """Return results as a model reads them, one text each, numbered from 1.

    Args:
        results: The results, best first.
    """
    return [
        f"{number}. {one.source} > {one.title}\n{one.excerpt}" + (f"\n(date: {one.date})" if one.date else "")
        for number, one in enumerate(results, start=1)
    ]


def room_for(source: str, title: str, date: str | None) -> int:
    """Return the characters that a result takes in `rendered` besides its excerpt, with the blank line behind it.

    Args:
        source: As in `Found`.
        title: As in `Found`.
        date: As in `Found`.
    """
    # The first 9 are "(date: )" with its line break. The other 9 are "1. ", " > " and three line breaks.
    return len(source) + len(title) + (len(date) + 9 if date else 0) + 9
