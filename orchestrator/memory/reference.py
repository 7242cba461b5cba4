"""References: the results that an answer rests on, and how they are taken out of its text."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.memory.entry import Entry

# One or several ids in square brackets. What an opening bracket or parenthesis follows is a link of Markdown.
_MARK = r"\[\s*[A-Za-z0-9][\w.,; -]*\](?![(\[])"
_MARKS = re.compile(rf"{_MARK}(?:[ \t]*(?:,|;|&|and)?[ \t]*{_MARK})*")
_ASIDE = re.compile(rf"\s*\((?:[A-Za-z.]+:? )?({_MARKS.pattern})\)")
_HEADING = re.compile(rf"^([ \t]*(?:[-*+] |\d+[.)] )?){_MARKS.pattern}:?[ \t]*", re.MULTILINE)
_BEHIND = re.compile(
    rf"(?P<before>\b(?:according to|as|by|from|in|of|per|see|to|with) )?[ \t]*(?P<marks>{_MARKS.pattern})",
    re.IGNORECASE,
)
_LAST_LINE = re.compile(rf"(?:\A|\n)[ \t]*[-*_>#\s]*(?:[^\W\d_]\w*(?: \w+)?\W{{0,2}}:\W*)?({_MARKS.pattern})[\s.*_]*\Z")
# Ends of a text that later words can make a part of a mark, or of the words around marks that leave the text with them.
_SOUP = r"(?:\[[\w.,; -]*+\]?|\([A-Za-z.]*+:?|\ban?d?\b|[\s,;&)])*+"
_UNSETTLED = re.compile(rf"{_SOUP}\Z")
_UNSETTLED_LINE = re.compile(
    r"\n[-*_>#\s]*+(?:[^\W\d_]\w*+(?: \w*+)?[^\w\[]*+)?"
    r"(?:\[[\w.,; -]*+\]?|\ban?d?\b|[\s.*_,;&])*+\Z"
)
_UNSETTLED_CHARS = 200  # what is longer is told, and told again without its marks
_CODE = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]*`)", re.DOTALL)


@dataclass(frozen=True)
class Reference:
    """A result that an answer rests on.

    Args:
        sub_task_id: The sub-task; `1.t1` is sub-task t1 of the first task of a conversation.
        key: Key of the result in the shared memory.
        agent: Name of the worker.
        sources: Names of the tools that the result was made with.
        tainted_by: The sources from outside that the result rests on.
    """

    sub_task_id: str
    key: str
    agent: str = ""
    sources: tuple[str, ...] = ()
    tainted_by: tuple[str, ...] = ()

    @classmethod
    def of(cls, entry: Entry) -> "Reference":
        """Return the reference to a result."""
        return cls(entry.sub_task_id, entry.key, entry.agent, entry.sources, entry.taint)

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> "Reference":
        """Read the plain form. Keys of other versions are ignored."""
        known: dict[str, Any] = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        lists: dict[str, Any] = {name: tuple(known[name]) for name in ("sources", "tainted_by") if name in known}
        values: dict[str, Any] = {"sub_task_id": "", "key": ""}
        return cls(**values | known | lists)

    def plain(self) -> dict[str, Any]:
        """Return the JSON-plain form."""
        return {**asdict(self), "sources": list(self.sources), "tainted_by": list(self.tainted_by)}

    def __str__(self) -> str:
        worked = ", ".join(part for part in (self.agent, *self.sources) if part)
        return f"{self.sub_task_id} ({worked})" if worked else self.sub_task_id


def split_references(text: str, ids: Collection[str]) -> tuple[str, list[str]]:
    """Return a text without its marks of references, and the ids in them in the order of the text.

    A mark is one of these ids in square brackets. Code keeps its brackets, and so do other ids.
    """
    named: set[str] = set()

    def known(marks: str) -> list[str]:
        parts = (part.strip() for part in re.split(r"[\[\],;]|\band\b", marks))
        return [part for part in parts if part in ids]

    def without(keep: Callable[[re.Match[str]], str]) -> Callable[[re.Match[str]], str]:
        def replaced(match: re.Match[str]) -> str:
            found = known(match[0])
            named.update(found)
            return keep(match) if found else match[0]

        return replaced

    def in_sentence(match: re.Match[str]) -> str:
        # Behind a preposition the mark is a part of the sentence, as in "as [t1] says".
        return f"{match['before']}{' and '.join(known(match['marks']))}" if match["before"] else ""

    body = _LAST_LINE.sub(without(lambda _: ""), text)
    parts = _CODE.split(body)
    for number in range(0, len(parts), 2):  # the others are code
        part = _ASIDE.sub(without(lambda _: ""), parts[number])
        parts[number] = _BEHIND.sub(without(in_sentence), _HEADING.sub(without(lambda match: match[1]), part))
    in_order = dict.fromkeys(name for marks in _MARKS.finditer(text) for name in known(marks[0]) if name in named)
    return "".join(parts).strip(), list(in_order)


class ReferenceFilter:
    """Takes the marks of references out of a text while the text comes, as `split_references` does at its end.

    Args:
        ids: The ids that are references.
    """

    def __init__(self, ids: Collection[str]) -> None:
        self._ids = ids
        self._settled = ""
        self._bare = ""

    def bare(self, text: str) -> str:
        """Return a whole text without its marks."""
        return split_references(text, self._ids)[0] if "[" in text else text.strip()

    def beginning(self, text: str) -> str:
        """Return the beginning of the bare text that hardly any later words can change.

        Args:
            text: All that has come so far.
        """
        settled = text[: _settled_length(text)]
        if not settled.startswith(self._settled):
            self._settled = self._bare = ""
        more = settled[len(self._settled) :]
        # To strip the whole text for each piece would take time that grows with its square.
        is_joint = bool(self._bare) and self._settled[-1] == self._bare[-1] != ":"
        self._bare = self._bare + more if is_joint and "[" not in more else self.bare(settled)
        self._settled = settled
        return self._bare


def _settled_length(text: str) -> int:
    """Return the number of characters at the beginning of a text that no mark after them can take away."""
    start = max(0, len(text) - _UNSETTLED_CHARS)
    ends = [match.start() for each in (_UNSETTLED, _UNSETTLED_LINE) if (match := each.search(text, start))]
    line = text.rfind("\n") + 1
    if text.count("`", line) % 2:  # code, or none, as its line goes on
        ends.append(text.rfind("`"))
    return min(ends)


def references_to(entries: Iterable[Entry]) -> tuple[Reference, ...]:
    """Return references to results."""
    return tuple(map(Reference.of, entries))
