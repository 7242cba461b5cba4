"""Control characters in texts for people: shown, never obeyed.

A text of a model, a document or an endpoint may hold sequences that move the cursor, write to the clipboard (OSC 52) or
turn the direction of writing, and so draw over what a human is asked about. Stored texts keep them; every output shows
them.
"""

import json
import re
from typing import Any

_TAB, _NEWLINE = 0x09, 0x0A
_C0 = frozenset(range(0x20)) - {_TAB, _NEWLINE}
_DEL = 0x7F
_C1 = frozenset(range(0x80, 0xA0))
# Marks, embeddings, overrides and isolates of the bidirectional algorithm (UAX #9).
_BIDI = frozenset((0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))
# The joiners U+200C and U+200D stay: Persian, Indic scripts and emoji are written with them.
_UNSEEN = frozenset((0x180E, 0x200B, *range(0x2060, 0x2066), *range(0x206A, 0x2070), 0xFEFF))
_SEPARATORS = frozenset((0x2028, 0x2029))
_ANNOTATIONS = frozenset(range(0xFFF9, 0xFFFC))
_TAGS = frozenset(range(0xE0000, 0xE0080))  # a whole alphabet that no terminal draws, and models read

_CODED = _C1 | _BIDI | _UNSEEN | _SEPARATORS | _ANNOTATIONS | _TAGS
# C0 has pictures of its own in Unicode, from U+2400.
_SHOWN: dict[int, str] = (
    {code: chr(0x2400 + code) for code in _C0} | {_DEL: "\u2421"} | {code: f"<U+{code:04X}>" for code in _CODED}
)
_ANY = re.compile("[" + "".join(map(re.escape, map(chr, _SHOWN))) + "]")
_IN_JSON = re.compile("[" + "".join(map(re.escape, map(chr, _CODED | {_DEL}))) + "]")


def visible(text: str) -> str:
    """Return a text for a terminal or a page: control, bidi and unseen characters become signs for themselves.

    Tabs and line ends stay, also those of Windows.
    """
    if text.isprintable() and text.isascii():
        return text
    return _ANY.sub(_sign, text.replace("\r\n", "\n")) if _ANY.search(text) else text


def _sign(match: re.Match[str]) -> str:
    return _SHOWN[ord(match[0])]


def visible_json(value: Any, indent: int | None = None) -> str:
    """Return JSON in which such characters are escapes. Parsed, it is the same value.

    Args:
        value: The value.
        indent: As for `json.dumps`; None for one line.
    """
    # `json` escapes C0 by itself.
    return _IN_JSON.sub(_escaped, json.dumps(value, indent=indent, ensure_ascii=False))


def _escaped(match: re.Match[str]) -> str:
    return json.dumps(match[0]).strip('"')  # a pair of surrogates beyond U+FFFF
