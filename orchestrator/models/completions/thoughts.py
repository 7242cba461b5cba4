"""Thoughts of models, taken out of an answer while it streams."""

import re

_TAG = r"(?:think|thinking|thought|reasoning)"
_OPENING = re.compile(rf"\s*<{_TAG}>", re.I)
_CLOSING = re.compile(rf"</{_TAG}>\s*", re.I)
_CLOSING_LINE = re.compile(rf"^[ \t]*</{_TAG}>[ \t]*\n\s*", re.I | re.M)
_OPENINGS = tuple(f"<{name}>" for name in ("think", "thinking", "thought", "reasoning"))


class ThoughtFilter:
    """Removes the thoughts at the beginning of an answer, as `without_thoughts` does with a whole one.

    Args:
        is_unopened: The endpoint's answers begin inside the thoughts, since its chat template has opened the tag.

    Attributes:
        is_thinking: True inside the thoughts.
    """

    def __init__(self, is_unopened: bool = False) -> None:
        self._waiting = ""  # not decided yet: space, or the beginning of a tag
        self._is_unopened = is_unopened
        self._is_answering = False
        self.is_thinking = False

    def feed(self, text: str) -> str:
        """Return what is certainly part of the answer, after another piece of the text."""
        if self._is_answering:
            return text
        self._waiting += text
        while True:
            if self._is_unopened or self.is_thinking:
                closing = (_CLOSING_LINE if self._is_unopened else _CLOSING).search(self._waiting)
                if closing is None:
                    return ""
                self._waiting = self._waiting[closing.end() :]
                self._is_unopened = self.is_thinking = False
            elif (opening := _OPENING.match(self._waiting)) is not None:
                self._waiting = self._waiting[opening.end() :]
                self.is_thinking = True
            elif _may_open(self._waiting):
                return ""
            else:
                self._is_answering = True
                return self._take()

    def end(self) -> str:
        """Return the rest of the answer, at the end of the text. Thoughts without an end are no part of it."""
        return "" if self.is_thinking else self._take()

    def _take(self) -> str:
        text, self._waiting = self._waiting, ""
        return text


def _may_open(text: str) -> bool:
    """True if a tag may begin with the text."""
    begun = text.lstrip().lower()
    return any(opening.startswith(begun) for opening in _OPENINGS)


def spoken(text: str) -> str:
    """Return a whole text without the thoughts at its beginning; empty for thoughts alone."""
    shown = ThoughtFilter()
    return shown.feed(text) + shown.end()
