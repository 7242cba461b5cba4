"""Rows that cannot be read: another program or version wrote them, or the file is damaged."""

import zlib
from typing import Any

import orjson  # LangGraph's stores write and read with it

from orchestrator.errors import PersistenceError
from orchestrator.text import normal_text, shorten

UNREADABLE_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    NotImplementedError,  # LangGraph: an unknown type of serialization
    RecursionError,
    TypeError,
    ValueError,
    zlib.error,
)
"""The errors that reading such a row raises."""

_MOST_CHARS = 160


def problem_of(error: BaseException) -> str:
    """Return an error in one short line."""
    kind = type(error)
    name = kind.__name__ if kind is not zlib.error else "zlib.error"  # whose own name is no more than "error"
    return shorten(f"{name}: {normal_text(str(error))}", _MOST_CHARS)


def unreadable_thread(thread_id: str, error: BaseException) -> PersistenceError:
    """Return the error of a thread of which something cannot be read, so that a person can delete it."""
    return PersistenceError(
        f"what is stored of thread '{thread_id}' cannot be read ({problem_of(error)}): another program or version "
        "wrote it, or it is damaged; restore it from a copy, or delete the thread"
    )


def load_value(content: Any) -> Any:
    """Return the value of a row of the store; a text with the problem for a row that is no JSON.

    Such a row is then one of another shape to those who need it, and hides no other row of the same reading.
    """
    try:
        return orjson.loads(content)
    except UNREADABLE_ERRORS as error:
        return f"no JSON: {problem_of(error)}"
