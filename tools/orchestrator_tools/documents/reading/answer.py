"""The answer of a reader: a text, what the file states about itself, and what is left out of it."""

from typing import Any

MOST_CHARACTERS = 3_000_000

Answer = dict[str, Any]
"""`text`, `title`, `date` and `left_out`: a text, and two that may be missing, and sentences about missing parts."""


class Refused(ValueError):
    """The file is refused. The message completes the sentence "the file …"."""


def one_line(text: str | None) -> str | None:
    """Return a title as one printable line, or None if nothing is left of it."""
    # The title stands in a result's first line. With a line break in it, one result could look like two.
    printable = "".join(sign if sign.isprintable() else " " for sign in str(text or ""))
    return " ".join(printable.split())[:200] or None


def cut(text: str) -> tuple[str, list[str]]:
    """Return a text within the limit of characters, and a sentence about what is cut off, if anything is."""
    if len(text) <= MOST_CHARACTERS:
        return text, []
    return text[:MOST_CHARACTERS], [f"only the first {MOST_CHARACTERS:,} of {len(text):,} characters are read"]
