"""Passages: sections of a Markdown, HTML or plain text, small enough to be shown whole."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Final

from orchestrator_tools.documents.unspaced import word_count

_PASSAGE_WORDS: Final = 160
_LONGEST_PASSAGE: Final = 200
_PASSAGE_SIGNS: Final = 2 * _PASSAGE_WORDS  # of scripts without spaces
_HEADING: Final = re.compile(r"^(#{1,6})\s+(.*?)\s*#*\s*$")
_DAY: Final = re.compile(r"\d{4}-[01]\d-[0-3]\d")
_FRONT_MATTER: Final = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_DATE_NAMES: Final = ("article:modified_time", "article:published_time", "dcterms.modified", "dcterms.date", "date")
"""Names of the `meta` tags that hold a page's date, the most reliable first."""


@dataclass(frozen=True)
class Passage:
    """A part of a document small enough to be shown whole.

    Args:
        heading: The headings above the passage, outermost first, without the document's title.
        body: The text of the passage.
    """

    heading: str
    body: str


def split(text: str, title: str, *, has_headings: bool = True) -> tuple[str, list[Passage]]:
    """Cut a Markdown or plain text into passages.

    Args:
        text: The document.
        title: The title of a document without a heading of the first level.
        has_headings: Take lines that begin with "#" for headings.

    Returns:
        The document's title, and its passages in order.
    """
    headings: list[tuple[int, str]] = []
    sections: list[tuple[str, list[str]]] = [("", [])]
    titled = fenced = False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        match = None if fenced or not has_headings else _HEADING.match(line)  # "#" in a code block begins a comment
        if match is None:
            sections[-1][1].append(line)
            continue
        level, words = len(match.group(1)), match.group(2)
        if level == 1 and not titled:
            title, titled = words or title, True
            continue
        headings = [item for item in headings if item[0] < level] + [(level, words)]
        sections.append((" > ".join(words for _, words in headings), []))
    # A heading without text is a passage too, so that a search finds it.
    return title, [
        Passage(heading, body) for heading, lines in sections for body in _bodies(lines) or ([""] if heading else [])
    ]


def _bodies(lines: list[str]) -> list[str]:
    """Cut a section's text between paragraphs, else between lines, else between words."""
    bodies: list[str] = []
    piece: list[str] = []
    count = 0
    for line in (part for whole in lines for part in _parts(whole)):
        words = word_count(line)
        full = count >= _PASSAGE_WORDS and not words
        if full or (count and count + words > _LONGEST_PASSAGE):
            bodies.append("\n".join(piece))
            piece, count = [], 0
        piece.append(line)
        count += words
    bodies.append("\n".join(piece))
    return [body.strip("\n") for body in bodies if body.strip()]


def _parts(line: str) -> Iterator[str]:
    """Cut a line that holds a whole chapter, as in texts without line breaks."""
    if word_count(line) <= _LONGEST_PASSAGE:
        yield line
        return
    words = line.split()
    for first in range(0, len(words), _PASSAGE_WORDS):
        part = " ".join(words[first : first + _PASSAGE_WORDS])
        # A chapter of Chinese is one word.
        yield from re.findall(f".{{1,{_PASSAGE_SIGNS}}}", part) if word_count(part) > _LONGEST_PASSAGE else [part]


class _Plain(HTMLParser):
    """Parser that turns HTML into text with Markdown headings and lists, without scripts and styles."""

    _SKIPPED = frozenset(("script", "style", "template", "noscript", "svg"))
    _BLOCKS = frozenset(
        re.findall(
            r"\w+",
            "address article aside blockquote br dd div dl dt footer form header hr li main nav ol p pre "
            "section table title tr ul",
        )
    )

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.dates: dict[str, str] = {}
        self._skipping = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self._SKIPPED:
            self._skipping += 1
        elif re.fullmatch("h[1-6]", tag):
            self.parts.append("\n\n" + "#" * int(tag[1]) + " ")
        elif tag in self._BLOCKS:
            self.parts.append("\n- " if tag == "li" else "\n")
        elif tag in ("td", "th"):
            self.parts.append(" | ")
        elif tag == "meta":
            facts = {name: value or "" for name, value in attrs}
            self.dates[(facts.get("name") or facts.get("property") or "").lower()] = facts.get("content", "")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._SKIPPED:
            self._skipping = max(0, self._skipping - 1)  # pages have end tags without a start
        elif re.fullmatch("h[1-6]", tag) or tag in ("p", "table", "ul", "ol"):
            self.parts.append("\n\n")
        elif tag in self._BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self.parts.append(re.sub(r"\s+", " ", data))  # a line break in HTML is a space


def plain(name: str, text: str) -> str:
    """Return a document's text. HTML becomes Markdown; other texts stay as they are."""
    if not _is_html(name):
        return text
    parser = _parsed(text)
    lines = [line.strip() for line in "".join(parser.parts).splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def stated_date(name: str, text: str) -> str | None:
    """Return the date that a document states, as YYYY-MM-DD, or None if there is none.

    HTML states its date in `meta` tags, Markdown in the line `date: …` of a front matter. The time of the file is not
    used, since that is when the file was copied.

    Args:
        name: The file's name, whose ending tells its format.
        text: The document with its markup.
    """
    if _is_html(name):
        dates = _parsed(text).dates
        stated = [dates.get(key, "") for key in _DATE_NAMES]
    else:
        front = _FRONT_MATTER.match(text)
        stated = re.findall(r"(?m)^date:\s*[\"']?(.*)$", front.group(1)) if front else []
    return next((match.group() for day in stated if (match := _DAY.match(day))), None)


def _is_html(name: str) -> bool:
    return name.lower().endswith((".html", ".htm"))


def _parsed(text: str) -> _Plain:
    parser = _Plain()
    parser.feed(text)
    parser.close()
    return parser
