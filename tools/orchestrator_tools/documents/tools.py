"""Search in a folder of documents: by full text (SQLite FTS5), and by meaning where there is an embedder.

The `semantic` extra brings an embedder (`documents.semantic_index`). With it both rankings are merged by reciprocal
rank fusion; without it the words decide alone. The metadata of `search_documents` says which under `backend`.

Made for models with small windows: a search returns a few passages of one section each, within a limit of
characters, each with its file and heading.

The index lives in memory. It is built at the first call, not when the tool is made (which may be inside an
event loop), and brought up to date by every call: only files whose size or time has changed are read again.
The tools are synchronous; called from async code LangChain runs them in a thread, so nothing blocks the loop.
"""

import re
import sqlite3
import threading
import weakref
from itertools import pairwise
from pathlib import Path
from textwrap import shorten
from typing import Any, Final, Literal

from langchain_core.tools import BaseTool, StructuredTool, ToolException

from orchestrator_tools.answers import bad_arguments, instead, listed, page
from orchestrator_tools.documents.folder import FileFact
from orchestrator_tools.documents.formats import KINDS, Text
from orchestrator_tools.documents.library import SUFFIXES, Library
from orchestrator_tools.documents.passages import split
from orchestrator_tools.documents.semantic_index import Embedder, MeaningIndex, default_cache, default_embedder, fused
from orchestrator_tools.search_results import Found, rendered, room_for

_MOST_RESULTS: Final = 10
_SNIPPET_TOKENS: Final = 40
_WEIGHTS: Final = "4.0, 3.0, 1.0"
"""What a hit counts in a document's title, in a heading and in the text."""
_TIME_LIMIT_S: Final = 120.0
"""Of one call. The first has to read the folder; what it has read is kept even when nobody waits for it any more."""

# Left out of queries, which models like to put as questions; every document has these words.
_STOP_WORDS: Final = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be by did do does for from had has have how in is it its many me much of on or "
        "tell that the their there these this to was were what when where which who why will with",
    )
)
_SCHEMA: Final = """
CREATE VIRTUAL TABLE passages USING fts5(
    title, heading, body, name UNINDEXED, place UNINDEXED, tokenize = 'porter unicode61 remove_diacritics 2'
)
"""
_QUERY: Final = f"""
SELECT rowid, name, title, heading, body, snippet(passages, 2, '', '', ' … ', ?) FROM passages
WHERE passages MATCH ? ORDER BY bm25(passages, {_WEIGHTS}), name, place LIMIT ?
"""
_Row = tuple[str, str, str, str, str]
"""A passage's file, title, heading and text, and its piece to show where there is no room for all of it."""


class DocumentIndex:
    """Passages of the documents in a folder, searchable; safe to use from several threads.

    Args:
        folder: Where the documents are.
        meaning: Finds passages by meaning as well; None for words alone.
    """

    def __init__(self, folder: Library, meaning: MeaningIndex | None = None) -> None:
        self.folder = folder
        self.meaning = meaning
        self.unread: dict[str, str] = {}
        """Documents that could not be read, and why."""
        self._lock = threading.Lock()
        self._known: dict[str, FileFact] = {}
        self._titles: dict[str, str] = {}
        self._dates: dict[str, str | None] = {}
        self._extracted: dict[str, Text] = {}
        """PDF and Word files: taking them apart again for every page that is read would take seconds."""
        self._database: sqlite3.Connection | None = None

    def search(self, query: str, limit: int, characters: int) -> list[Found]:
        """The passages that fit best. By words, those with all of them come before those with some.

        Args:
            query: Any text. Without an embedder only its words count.
            limit: Most passages.
            characters: Most characters of all excerpts together. A passage for which there is no room is
                shortened to where the words stand, and what still finds no room is left out.
        """
        with self._lock:
            database = self._refresh()
            rows = self._by_words(database, query, limit)
            ranking = list(rows)
            if self.meaning is not None and query.strip():
                ranking = fused(ranking[:limit], self._by_meaning(self.meaning, database, query, limit, rows))
            return self._fitted([rows[number] for number in ranking], limit, characters)

    def _by_words(self, database: sqlite3.Connection, query: str, limit: int) -> dict[int, _Row]:
        rows: dict[int, _Row] = {}
        for match in _matches(query):
            for number, *row in database.execute(_QUERY, (_SNIPPET_TOKENS, match, limit)):
                rows.setdefault(number, tuple(row))
        return rows

    def _by_meaning(
        self, meaning: MeaningIndex, database: sqlite3.Connection, query: str, limit: int, rows: dict[int, _Row]
    ) -> list[int]:
        """The nearest passages; those that the words did not find are added to the rows."""
        ranking = meaning.nearest(query, limit)
        for number in ranking:
            if number not in rows:
                one = "SELECT name, title, heading, body FROM passages WHERE rowid = ?"
                name, title, heading, body = database.execute(one, (number,)).fetchone()
                words = body.split(maxsplit=_SNIPPET_TOKENS)
                rows[number] = (name, title, heading, body, " ".join(words[:_SNIPPET_TOKENS]) + " …")
        return ranking

    def _fitted(self, ranked: list[_Row], limit: int, characters: int) -> list[Found]:
        hits: list[Found] = []
        for name, title, heading, body, snippet in ranked:
            if len(hits) == limit:
                break
            place, date = f"{title} > {heading}" if heading else title, self._dates.get(name)
            heads = room_for(name, place, date)
            excerpt = body if len(body) + heads <= characters else snippet
            if not hits:
                excerpt = excerpt[: max(0, characters - heads)]
            if len(excerpt) + heads <= characters:
                hits.append(Found(name, place, excerpt, date))
                characters -= len(excerpt) + heads
        return hits

    def names(self) -> dict[str, str]:
        """The documents that can be read, with their titles."""
        with self._lock:
            self._refresh()
            return dict(self._titles)

    def find(self, name: str) -> str:
        """The file of a document.

        Args:
            name: The file, or its title, or its file without folder and ending.
        """
        titles = self.names()
        asked = name.strip()
        if asked in titles:
            return asked
        if asked in self.unread:
            raise ToolException(f"error: {self.unread[asked]}")
        for called in (
            {file: file for file in titles},
            titles,
            {file: Path(file).stem for file in titles},
        ):
            fitting = [file for file, other in called.items() if other.lower() == asked.lower()]
            if len(fitting) == 1:
                return fitting[0]
        raise ToolException(f"error: there is no document '{asked[:200]}'; {instead(asked, list(titles))}")

    def text(self, name: str) -> str:
        """A document's whole text; takes what `find` gives."""
        with self._lock:
            known = self._extracted.get(name)
        return (known or self.folder.document(name)).text

    def _refresh(self) -> sqlite3.Connection:
        """Brings the index up to date with the folder; the caller holds the lock."""
        if self._database is None:
            self._database = sqlite3.connect(":memory:", check_same_thread=False)
            self._database.execute(_SCHEMA)
            weakref.finalize(self, self._database.close)
        now = self.folder.documents()
        gone = [name for name, fact in self._known.items() if now.get(name) != fact]
        with self._database:
            for name in gone:
                if self.meaning is not None:
                    rows = self._database.execute("SELECT rowid FROM passages WHERE name = ?", (name,))
                    self.meaning.drop([row[0] for row in rows])
                self._database.execute("DELETE FROM passages WHERE name = ?", (name,))
                for facts in (self._titles, self._dates, self._extracted, self.unread):
                    facts.pop(name, None)
                del self._known[name]
            for name, fact in now.items():
                if name not in self._known:
                    self._add(self._database, name)
                    self._known[name] = fact
        if not now:
            raise ToolException(
                f"error: there are no documents in the folder '{self.folder.path.name}' (files ending in "
                f"{', '.join(SUFFIXES)}); answer without documents and say so"
            )
        return self._database

    def _add(self, database: sqlite3.Connection, name: str) -> None:
        try:
            document = self.folder.document(name)
        except ToolException as error:
            self.unread[name] = str(error).removeprefix("error: ")
            return
        title, passages = split(document.text, Path(name).stem.replace("-", " ").replace("_", " "))
        self._titles[name], self._dates[name] = title, document.date
        if Path(name).suffix.lower() in KINDS:
            self._extracted[name] = document
        for place, passage in enumerate(passages):
            added = database.execute(
                "INSERT INTO passages (title, heading, body, name, place) VALUES (?, ?, ?, ?, ?)",
                (title, passage.heading, passage.body, name, place),
            )
            if self.meaning is not None and added.lastrowid is not None:
                # Its headings belong to it: "Population" alone does not say whose.
                self.meaning.add(added.lastrowid, f"{title} > {passage.heading}\n{passage.body}")


def _matches(query: str) -> list[str]:
    """FTS5 expressions for a query, the strictest first: all words and two in a row, all words, any word.

    Words are quoted: FTS5's own AND, NEAR, * and brackets are then nothing but text.
    """
    words = [word for word in re.findall(r"\w+", query) if any(sign.isalnum() for sign in word)]
    telling = [word for word in words if word.lower() not in _STOP_WORDS] or words
    words = [word[:60] for word in telling[:16]]
    single = [f'"{word}"' for word in dict.fromkeys(words)]
    # "land area of Iceland" is answered where "land area" stands, not where both words come by.
    pairs = [f'"{one} {other}"' for one, other in pairwise(words)]
    if not pairs:
        return single
    every = " AND ".join(single)
    return [f"({every}) AND ({' OR '.join(pairs)})", every, " OR ".join(single + pairs)]


def document_tools(
    folder: str | Path, *, page_characters: int = 2_400, embedder: Embedder | Literal["auto"] | None = "auto"
) -> list[BaseTool]:
    """The tools `search_documents` and `read_document` for a folder of text, Markdown, HTML, PDF and Word
    files.

    Args:
        folder: Where the documents are, at any depth. It is read only, and never left. Whether it can be used
            shows when a tool is called; `folder_problem` tells beforehand.
        page_characters: Most characters of one answer. The default fits a fifth of a window of 4,096 tokens.
        embedder: Finds passages by meaning besides. By default that of the `semantic` extra where it is installed;
            None for words alone. It is loaded by the first search; if that fails, the words are searched and the
            answer says so.
    """
    chosen = default_embedder() if embedder == "auto" else embedder
    meaning = None if chosen is None else MeaningIndex(chosen, kept=default_cache())
    index = DocumentIndex(Library(folder), meaning)

    def search_documents(query: str, limit: int = 5) -> str:
        """Searches the documents for facts and figures.

        Use it first for whatever the documents may know; one fact about one subject a search works best.
        Returns passages, best first, each with its document and heading. To read more, use read_document.

        For example: search_documents(query="population of Iceland")

        Args:
            query: The words to look for.
            limit: Most passages to return, 1 to 10.
        """
        hits = index.search(query, min(max(limit, 1), _MOST_RESULTS), page_characters)
        note = f"({meaning.note})" if meaning is not None and meaning.note else ""
        if not hits:
            names = shorten(listed([f"{name} ({title})" for name, title in index.names().items()]), 1_000)
            return (
                f"Nothing found for '{query[:100]}'. Documents available are: {names}. Try other words. {note}".strip()
            )
        found = rendered(hits)
        if index.unread:
            unread = shorten(listed(sorted(index.unread)), 1_000)
            found.append(f"(not searched, because they cannot be read: {unread})")
        if note:
            found.append(note)
        return "\n\n".join(found)

    def read_document(name: str, start: int = 0) -> str:
        """Reads a document from its beginning or, page by page, from where you stopped.

        Use it when a passage found by search_documents is not enough.

        For example: read_document(name="iceland.md")

        Args:
            name: The document's name, as search_documents gives it.
            start: First character to read; the end of a page says with which start it goes on.
        """
        file = index.find(name)
        call = f'read_document(name="{file}", start='
        return page(index.text(file), start, page_characters, lambda on: f"{call}{on})")

    said: dict[str, Any] = {
        "risk": "read",
        "effect": "none",
        "trust": "untrusted",
        "time_limit_s": _TIME_LIMIT_S,
        "output_limit": page_characters + 1_500,
    }
    searching = {**said, "backend": "words" if meaning is None else "words and meaning"}
    return [
        StructuredTool.from_function(
            func=function,
            parse_docstring=True,
            handle_tool_error=True,
            handle_validation_error=bad_arguments,
            metadata=metadata,
        )
        for function, metadata in ((search_documents, searching), (read_document, said))
    ]


def folder_problem(folder: str | Path) -> str | None:
    """Why a folder cannot be searched, in words for a person; None when it can.

    Args:
        folder: As for `document_tools`.
    """
    place = Library(folder)
    if problem := place.problem():
        return problem
    if not place.documents():
        return f"there are no documents in '{place.path}' (files ending in {', '.join(SUFFIXES)})"
    return None
