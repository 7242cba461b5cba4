"""Answers of tools to models: texts, pages of texts, and errors that say what to do instead."""

from collections.abc import Callable
from difflib import get_close_matches

from langchain_core.tools import ToolException
from pydantic import ValidationError
from pydantic.v1 import ValidationError as ValidationErrorV1

_SHOWN_NAMES = 20


def decode(raw: bytes) -> str | None:
    """Return bytes as text with `\\n` line ends, or None if they are not text."""
    # Before the zero bytes: in UTF-16 every Latin letter has one.
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = raw.decode("utf-16", errors="replace")
    elif b"\0" in raw:
        return None
    else:
        try:
            text = raw.decode("utf-8-sig")  # editors on Windows begin UTF-8 with a mark
        except UnicodeDecodeError:
            # Old western text files; random bytes give themselves away by their control characters.
            if sum(byte < 32 and byte not in (9, 10, 12, 13) for byte in raw) > len(raw) // 100:
                return None
            text = raw.decode("cp1252", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def page(text: str, start: int, size: int, read_on: Callable[[int], str]) -> str:
    """Return a piece of a text that ends at the end of a line, and says how to read on.

    Args:
        text: The whole text.
        start: First character.
        size: Most characters.
        read_on: Returns the call that reads on from a character.
    """
    start = max(0, start)
    if start >= len(text):
        if not text.strip():
            return "(the file is empty)"
        raise ToolException(f"error: start={start} is behind the end ({len(text)} characters); begin with start=0")
    end = min(len(text), start + size)
    if end < len(text):
        line_end = text.rfind("\n", start, end)
        # A page without a line end in its second half is cut anywhere: reading on has to make progress.
        end = line_end + 1 if line_end >= start + size // 2 else end
    piece = text[start:end].strip("\n")
    if end < len(text):
        piece += f"\n[… characters {start} to {end} of {len(text)}; to read on call {read_on(end)}]"
    return piece


def instead(asked: str, names: list[str]) -> str:
    """Return the names to use instead of one that does not exist, as a sentence."""
    if not names:
        return "there are no files here"
    if near := get_close_matches(asked, names, n=3, cutoff=0.5):
        return "did you mean " + " or ".join(f"'{name}'" for name in near) + "?"
    return "there are: " + listed(names)


def listed(names: list[str]) -> str:
    """Return names in one line; of many, the first ones and the number of the others."""
    others = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(names[:_SHOWN_NAMES]) + others


def bad_arguments(error: ValidationError | ValidationErrorV1) -> str:
    """Return the mistakes in the arguments of a tool call, for the model that made the call."""
    wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
    return f"error: wrong arguments ({wrong}); call the tool again with the arguments that it describes"
