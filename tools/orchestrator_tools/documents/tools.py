"""Tools that search a folder of documents by full text (SQLite FTS5), and by meaning if there is an embedder.

The `semantic` extra brings an embedder (`semantic_index.py`). With one, both rankings are merged by reciprocal rank
fusion. The metadata of `search_documents` says under `backend` how it searches.

The answers fit models with small windows: a few passages within a limit of characters, each with its file and heading.

The index lives in memory. The first call builds it, since the tools may be made inside an event loop. Every call brings
it up to date, and reads again only files whose size or time has changed. The tools are blocking functions: LangChain
runs them in a thread if async code calls them.
"""

import re
import sqlite3
import threading
import unicodedata
import weakref
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from textwrap import shorten
from typing import Any, Final, Literal

from langchain_core.tools import BaseTool, StructuredTool, ToolException

from orchestrator_tools.answers import bad_arguments, instead, listed, page
from orchestrator_tools.documents.folder import FileFact
from orchestrator_tools.documents.formats import Text, kind_of
from orchestrator_tools.documents.library import Library, has_headings
from orchestrator_tools.documents.not_read import not_read
from orchestrator_tools.documents.passages import split
from orchestrator_tools.documents.semantic_index import Embedder, MeaningIndex, default_cache, default_embedder, fused
from orchestrator_tools.documents.unspaced import pieces, shown, spaced
from orchestrator_tools.search_results import Found, rendered, room_for

_MOST_RESULTS: Final = 10
_MOST_PARTS: Final = 16  # of a query
_SNIPPET_TOKENS: Final = 40
_WEIGHTS: Final = "4.0, 3.0, 1.0"  # of a hit in the title, in a heading and in the text
_TIME_LIMIT_S: Final = 120.0  # the first call reads the whole folder; later calls use what it read before its limit

# Models write queries as questions, and every document has these words.
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
"""File, title, heading and text of a passage, and the snippet to show where the whole text does not fit."""


class DocumentIndex:
    """A searchable index of the passages of a folder. It is thread-safe.

    Args:
        folder: The documents.
        meaning: Finds passages by meaning; None for a search by words only.
    """

    def __init__(self, folder: Library, meaning: MeaningIndex | None = None) -> None:
        self.folder = folder
        self.meaning = meaning
        self.unread: dict[str, str] = {}
        """Reasons why documents could not be read, by name."""
        self.partly: dict[str, str] = {}
        """The missing parts of documents, in words, by name."""
        self.passed: dict[str, list[str]] = {}
        """Names of files that do not count as documents, by reason."""
        self._lock = threading.Lock()
        self._known: dict[str, FileFact] = {}
        self._titles: dict[str, str] = {}
        self._dates: dict[str, str | None] = {}
        # Texts of PDF and Word files. To extract one again for each page that is read would take seconds.
        self._extracted: dict[str, Text] = {}
        self._database: sqlite3.Connection | None = None

    def search(self, query: str, limit: int, characters: int) -> list[Found]:
        """Return the passages that fit a query best. Passages with all its words come before those with some.

        Args:
            query: Any text. Without an embedder only its words count.
            limit: The most passages.
            characters: The most characters of all excerpts together. A passage that does not fit is shortened to the
                part with the words, or left out.
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
                rows.setdefault(number, _shown(row))
        return rows

    def _by_meaning(
        self, meaning: MeaningIndex, database: sqlite3.Connection, query: str, limit: int, rows: dict[int, _Row]
    ) -> list[int]:
        """Return the nearest passages, and add those that the words did not find to the rows."""
        ranking = meaning.nearest(query, limit)
        for number in ranking:
            if number not in rows:
                select = "SELECT name, title, heading, body FROM passages WHERE rowid = ?"
                name, title, heading, body, _ = _shown([*database.execute(select, (number,)).fetchone(), ""])
                words = body.split(maxsplit=_SNIPPET_TOKENS)
                rows[number] = (name, title, heading, body, " ".join(words[:_SNIPPET_TOKENS]) + " …")
        return ranking

    def _fitted(self, ranked: list[_Row], limit: int, characters: int) -> list[Found]:
        hits: list[Found] = []
        for name, title, heading, body, snippet in ranked:
            if len(hits) == limit:
                break
            path, date = f"{title} > {heading}" if heading else title, self._dates.get(name)
            heads = room_for(name, path, date)
            excerpt = body if len(body) + heads <= characters else snippet
            if not hits:  # the best passage is shown in any case
                excerpt = excerpt[: max(0, characters - heads)]
            if len(excerpt) + heads <= characters:
                hits.append(Found(name, path, excerpt, date))
                characters -= len(excerpt) + heads
        return hits

    def names(self) -> dict[str, str]:
        """Return the titles of the readable documents, by name."""
        with self._lock:
            self._refresh()
            return dict(self._titles)

    def find(self, name: str) -> str:
        """Return the file of a document.

        Args:
            name: The file, the document's title, or the file without folder and ending.

        Raises:
            ToolException: There is no such document, or it cannot be read.
        """
        titles = self.names()
        asked = name.strip()
        if asked in titles:
            return asked
        if asked in self.unread:
            raise ToolException(f"error: '{asked}' {self.unread[asked]}; use another document")
        for reason, files in self.passed.items():
            if asked in files:
                raise ToolException(f"error: '{asked}' is there and is not read: it is among {reason}; use another")
        for aliases in (
            {file: file for file in titles},
            titles,
            {file: Path(file).stem for file in titles},
        ):
            fitting = [file for file, alias in aliases.items() if alias.lower() == asked.lower()]
            if len(fitting) == 1:
                return fitting[0]
        raise ToolException(f"error: there is no document '{asked[:200]}'; {instead(asked, list(titles))}")

    def notes(self, *, is_short: bool = False) -> list[str]:
        """Return notes about all that a search does not look into; see `not_read`."""
        return not_read(self.passed, self.unread, self.partly, is_short=is_short)

    def note(self, name: str, start: int) -> str:
        """Return a note about the missing parts of a document, for the first of its pages."""
        part = self.partly.get(name)
        return f"({part})\n\n" if part and start <= 0 else ""

    def text(self, name: str) -> str:
        """Return a document's whole text, by the name that `find` returned."""
        with self._lock:
            known = self._extracted.get(name)
        return (known or self.folder.document(name)).text

    def _refresh(self) -> sqlite3.Connection:
        """Bring the index up to date with the folder. The caller holds the lock."""
        if self._database is None:
            # LangChain calls from changing threads. The lock keeps them apart.
            self._database = sqlite3.connect(":memory:", check_same_thread=False)
            self._database.execute(_SCHEMA)
            weakref.finalize(self, self._database.close)
        survey = self.folder.documents()
        now, self.passed = survey.files, survey.passed
        gone = [name for name, fact in self._known.items() if now.get(name) != fact]
        with self._database:
            for name in gone:
                if self.meaning is not None:
                    rows = self._database.execute("SELECT rowid FROM passages WHERE name = ?", (name,))
                    self.meaning.drop([row[0] for row in rows])
                self._database.execute("DELETE FROM passages WHERE name = ?", (name,))
                for facts in (self._titles, self._dates, self._extracted, self.unread, self.partly):
                    facts.pop(name, None)
                del self._known[name]
            for name, fact in now.items():
                if name not in self._known:
                    self._add(self._database, name)
                    self._known[name] = fact
        if not now:
            notes = "".join(f" {note}" for note in self.notes())
            raise ToolException(
                f"error: there are no documents in the folder '{self.folder.path.name}'{notes}; "
                "answer without documents and say so"
            )
        return self._database

    def _add(self, database: sqlite3.Connection, name: str) -> None:
        try:
            document = self.folder.document(name)
        except ToolException as error:
            self.unread[name] = str(error).removeprefix(f"error: '{name}' ").partition("; use another")[0]
            return
        stem = Path(name).stem.replace("-", " ").replace("_", " ")
        title, passages = split(document.text, stem, has_headings=has_headings(name))
        self._titles[name], self._dates[name] = title, document.date
        # A document that was read in part is searched, and its gaps are told.
        if document.left_out:
            self.partly[name] = "; ".join(document.left_out)
        if kind_of(name) is not None:
            self._extracted[name] = document
        for position, passage in enumerate(passages):
            added = database.execute(
                "INSERT INTO passages (title, heading, body, name, place) VALUES (?, ?, ?, ?, ?)",
                (spaced(title), spaced(passage.heading), spaced(passage.body), name, position),
            )
            if self.meaning is not None and added.lastrowid is not None:
                # With its headings, since "Population" alone does not say of which country.
                self.meaning.add(added.lastrowid, f"{title} > {passage.heading}\n{passage.body}")


def _shown(row: Sequence[str]) -> _Row:
    name, *texts = row
    title, heading, body, snippet = (shown(text) for text in texts)
    return name, title, heading, body, snippet


def _matches(query: str) -> list[str]:
    """Return FTS5 expressions for a query, the strictest first.

    They match all words with two of them in a row, then all words, then any word. Words are quoted, so that AND, NEAR,
    * and brackets in a query have no meaning for FTS5.
    """
    # FTS5 finds no word in "_". Such a phrase matches nothing, and with AND nothing else would match either.
    words = [word for word in _words(query) if any(sign.isalnum() for sign in word)]
    telling = [word for word in words if word.lower() not in _STOP_WORDS] or words
    parts = [part[:60] for word in telling for part in pieces(word)][:_MOST_PARTS]
    single = [f'"{spaced(part)}"' for part in dict.fromkeys(parts)]
    # A passage with "land area" answers "land area of Iceland" better than a passage with both words apart.
    pairs = [f'"{spaced(first)} {spaced(second)}"' for first, second in pairwise(parts)]
    if not pairs:
        return single
    every = " AND ".join(single)
    return [f"({every}) AND ({' OR '.join(pairs)})", every, " OR ".join(single + pairs)]


def _words(query: str) -> list[str]:
    # Vowels of Thai, Hindi and others are marks, and no letters.
    is_part = (sign.isalnum() or sign == "_" or unicodedata.category(sign).startswith("M") for sign in query)
    return "".join(sign if part else " " for sign, part in zip(query, is_part, strict=True)).split()


def document_tools(
    folder: str | Path, *, page_characters: int = 2_400, embedder: Embedder | Literal["auto"] | None = "auto"
) -> list[BaseTool]:
    """Return the tools `search_documents` and `read_document` for a folder of documents.

    Documents are text of any kind, HTML, PDF, office files, mails, books and notebooks. Whatever was not read is told
    with each answer.

    Args:
        folder: The folder with the documents, at any depth. It is only read, and never left. A folder that cannot be
            used is an error of the tool's call; `folder_problem` finds it before.
        page_characters: The most characters of one answer. The default fits a fifth of a window of 4,096 tokens.
        embedder: Finds passages by meaning. The default is the embedder of the `semantic` extra, if it is installed;
            None for a search by words only. The first search loads it. If that fails, the search goes by words only,
            and the answer says so.
    """
    chosen = default_embedder() if embedder == "auto" else embedder
    meaning = None if chosen is None else MeaningIndex(chosen, kept=default_cache())
    index = DocumentIndex(Library(folder), meaning)

    # Models read the docstrings of these two functions: they are prompts.
    def search_documents(query: str, limit: int = 5) -> str:
        """Searches the documents for facts and figures.

        Use it first for whatever the documents may know; one fact about one subject a search works best.
        Returns passages, best first, each with its document and heading. To read more, use read_document.

        For example: search_documents(query="population of Iceland")

        Args:
            query: The words to look for.
            limit: Most passages to return, 1 to 10.
        """
        return _search(index, query, limit, page_characters)

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
        return index.note(file, start) + page(index.text(file), start, page_characters, lambda on: f"{call}{on})")

    metadata: dict[str, Any] = {
        "risk": "read",
        "effect": "none",
        "trust": "untrusted",
        "time_limit_s": _TIME_LIMIT_S,
        "output_limit": page_characters + 1_500,
    }
    backend = "words" if meaning is None else "words and meaning"
    return [_tool(search_documents, {**metadata, "backend": backend}), _tool(read_document, metadata)]


def _tool(function: Callable[..., str], metadata: dict[str, Any]) -> BaseTool:
    return StructuredTool.from_function(
        func=function,
        parse_docstring=True,
        handle_tool_error=True,
        handle_validation_error=bad_arguments,
        metadata=metadata,
    )


def _search(index: DocumentIndex, query: str, limit: int, characters: int) -> str:
    """Return the answer of `search_documents`."""
    meaning = index.meaning
    hits = index.search(query, min(max(limit, 1), _MOST_RESULTS), characters)
    note = f"({meaning.note})" if meaning is not None and meaning.note else ""
    if not hits:
        titles = index.names()
        names = shorten(listed([f"{name} ({title})" for name, title in titles.items()]), 1_000)
        available = f"Documents available are: {names}." if titles else "None of the documents can be read."
        parts = [f"Nothing found for '{query[:100]}'. {available} Try other words."]
    else:
        parts = rendered(hits)
    return "\n\n".join([*parts, *index.notes(is_short=bool(hits)), *([note] if note else [])])


def folder_problem(folder: str | Path) -> str | None:
    """Return the reason why a folder cannot be searched, in words for a person, or None if it can.

    Args:
        folder: As for `document_tools`.
    """
    library = Library(folder)
    if problem := library.problem():
        return problem
    survey = library.documents()
    if not survey.files:
        notes = "".join(f" {note}" for note in not_read(survey.passed, {}, {}))
        return f"there are no documents in '{library.path}'{notes}"
    return None
