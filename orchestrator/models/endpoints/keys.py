"""Keys as people paste them: what stands around a key is taken off, and a key that no header can hold is refused."""

import re
import unicodedata

from orchestrator.errors import ConfigError

# A line of a `.env` file or of a shell, or a header.
_NAME_BEFORE = re.compile(r"^(?:export\s+|set\s+|\$env:)?[A-Za-z][A-Za-z0-9_]*_(?:KEY|TOKEN)\s*=\s*", re.I)
_SCHEME_BEFORE = re.compile(r"^(?:authorization\s*:\s*)?bearer\s+", re.I)
_QUOTES = "\"'`\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb\u2039\u203a"
_INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060\u00ad\u200e\u200f\x00"
_AROUND = _QUOTES + _INVISIBLE


def bare(text: str) -> str:
    """Return a text without the white space, quotes and invisible characters around it."""
    before = None
    while before != text:
        before, text = text, text.strip().strip(_AROUND)
    return text


def bare_key(text: str) -> str:
    """Return a key without what a paste leaves around it: white space, quotes, `NAME=`, `Bearer`, `;` at the end."""
    before = None
    while before != text:
        before = text
        text = _SCHEME_BEFORE.sub("", _NAME_BEFORE.sub("", bare(text)))
    return text.rstrip(";,").rstrip() if text[-1:] in ";," else text


def problem_of_key(key: str) -> str:
    """Return why no header can hold a key, without the key; empty if one can."""
    if "\n" in key or "\r" in key:
        return "more than one line"
    if any(char.isspace() for char in key):
        return "a space inside"
    if any(char in _QUOTES and not char.isascii() for char in key):
        return "curly quotes inside"
    if any(unicodedata.category(char).startswith("C") for char in key):
        return "control characters or invisible characters inside"
    return "" if key.isascii() else "characters that are not ASCII"


def checked_key(text: str, name: str) -> str:
    """Return a key without what stands around it.

    Args:
        text: The key as it was given.
        name: Name of the argument or variable that gave it.

    Raises:
        ConfigError: No header can hold the key. The text never has the key.
    """
    key = bare_key(text)
    if problem := problem_of_key(key):
        raise ConfigError(f"{name} has {problem}: give the key alone, as the endpoint's owner shows it")
    return key
