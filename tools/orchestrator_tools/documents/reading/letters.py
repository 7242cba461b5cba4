"""Letters of typesetting as letters of writing, so that a word is found however it was set."""

import re

# Ligatures and full-width forms are the same letters. Superscripts are not: 10² is no 102.
_LETTERS = {
    0xFB00: "ff",
    0xFB01: "fi",
    0xFB02: "fl",
    0xFB03: "ffi",
    0xFB04: "ffl",
    0xFB05: "st",
    0xFB06: "st",
    **{code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},
    0x00AD: None,  # the soft hyphen is shown at the end of a line only
    0x0000: None,
    0x000D: None,
    0x0002: "-",  # PDFium gives it for a hyphen at the end of a line
    0xFFFE: "-",
}
_DIVIDED = re.compile(r"(?<=[^\W\d_])-\n(?=[^\W\d_A-Z])")


def plain_letters(text: str) -> str:
    """Return a text with its ligatures as letters and its divided words joined."""
    return _DIVIDED.sub("", text.replace("\r\n", "\n").translate(_LETTERS))
