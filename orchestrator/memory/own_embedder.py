"""A user's own embedding model: what `index` may be, its vectors, and what is known of its failures.

A model that fails, hangs or gives other vectors than it should fails no run. The log tells of it once, and the model is
tried again after a minute.
"""

import asyncio
import contextvars
import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from langchain_core.embeddings import Embeddings
from langgraph.store.base import IndexConfig, ensure_embeddings, get_text_at_path

from orchestrator.background import run_in_background
from orchestrator.daemon_threads import as_exception
from orchestrator.errors import ConfigError
from orchestrator.logs import logger
from orchestrator.memory.entry import Entry
from orchestrator.text import normal_text, shorten
from orchestrator.validation import described

MemoryIndex = IndexConfig | Embeddings | Callable[..., Any] | str
"""The argument `index` of a user: LangGraph's `IndexConfig`, or the embedding model alone."""

EMBEDDER_S = 30.0
_REST_S = 60.0
_BATCH = 100
_MOST_VECTORS = 8192
_log = logger(__name__)
T = TypeVar("T")

CALLER_LOOP: contextvars.ContextVar[asyncio.AbstractEventLoop | None] = contextvars.ContextVar("loop", default=None)
"""The event loop of the run that recalls, on which an asynchronous embedding function is called."""


class Health:
    """Tells of an embedding model's failure once, and lets it rest after each.

    Args:
        clock: Returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rests_until = 0.0
        self._is_told = False

    @property
    def is_resting(self) -> bool:
        """True for a minute after a failure."""
        return self._clock() < self._rests_until

    def fail(self, error: BaseException) -> None:
        """Note a failure."""
        self._rests_until = self._clock() + _REST_S
        if not self._is_told:
            self._is_told = True
            cause = shorten(f"{type(error).__name__}: {normal_text(str(error))}", 200)
            _log.warning("the embedding model failed, and the shared memory is searched by words: %s", cause)


class OwnEmbedder:
    """A user's embedding model, with the vectors of this process. Many threads share it.

    Args:
        index: LangGraph's `IndexConfig`, or the model: `Embeddings`, a function of a list of texts, sync or async, or
            a name such as `openai:text-embedding-3-small`.

    Raises:
        ConfigError: The settings are wrong.
    """

    def __init__(self, index: MemoryIndex) -> None:
        settings = _settings(index)
        self._model = _model(settings["embed"])
        self._dims = settings.get("dims")
        self._fields = settings.get("fields") or ["text"]
        self._vectors: OrderedDict[bytes, list[float]] = OrderedDict()
        self._lock = threading.Lock()
        self.health = Health()

    @classmethod
    def of(cls, index: "MemoryIndex | OwnEmbedder | None") -> "OwnEmbedder | None":
        """Return the model of what a user gave as `index`; None for nothing.

        Raises:
            ConfigError: The settings are wrong.
        """
        return index if index is None or isinstance(index, OwnEmbedder) else cls(index)

    def text_of(self, entry: Entry) -> str:
        """Return the text of an entry that is embedded."""
        if self._fields == ["text"]:
            return entry.text
        plain = {**entry.__dict__}
        return "\n".join(text for field in self._fields for text in get_text_at_path(plain, field))

    def passages(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of texts to search in. Each text is sent to the model once a process.

        Raises:
            Exception: The model failed or hangs.
        """
        digests = [hashlib.sha256(text.encode(errors="replace")).digest() for text in texts]
        with self._lock:
            vectors = {digest: self._vectors[digest] for digest in digests if digest in self._vectors}
        missing = {digest: text for digest, text in zip(digests, texts, strict=True) if digest not in vectors}
        new = list(missing.items())
        for start in range(0, len(new), _BATCH):
            batch = new[start : start + _BATCH]
            made = self._embed([text for _, text in batch])
            vectors |= {digest: vector for (digest, _), vector in zip(batch, made, strict=True)}
        with self._lock:
            self._vectors |= vectors
            while len(self._vectors) > _MOST_VECTORS:
                self._vectors.popitem(last=False)
        return [vectors[digest] for digest in digests]

    def query(self, text: str) -> list[float]:
        """Return the vector of a text to search for.

        Raises:
            Exception: The model failed or hangs.
        """
        if _is_async(self._model):
            vector = within_limit(lambda: _awaited(lambda: self._model.aembed_query(text)))
        else:
            vector = within_limit(lambda: self._model.embed_query(text))
        return self._checked([vector], 1)[0]

    def _embed(self, texts: list[str]) -> list[list[float]]:
        if _is_async(self._model):
            vectors = within_limit(lambda: _awaited(lambda: self._model.aembed_documents(texts)))
        else:
            vectors = within_limit(lambda: self._model.embed_documents(texts))
        return self._checked(vectors, len(texts))

    def _checked(self, vectors: Any, count: int) -> list[list[float]]:
        checked = [[float(number) for number in vector] for vector in vectors]
        if len(checked) != count:
            raise ConfigError(f"the embedding model gave {len(checked)} vectors for {count} texts")
        dims = self._dims or len(checked[0])
        if strange := next((vector for vector in checked if len(vector) != dims), None):
            raise ConfigError(
                f"the embedding model gives vectors of {len(strange)} numbers, and dims is {dims}: set dims to "
                f"{len(strange)}, or name the model that fits"
            )
        self._dims = dims
        return checked


def _settings(index: MemoryIndex) -> dict[str, Any]:
    """Return the settings of an index as a dict with `embed`.

    Raises:
        ConfigError: They are none.
    """
    if not isinstance(index, Mapping):
        return {"embed": index}
    settings: dict[str, Any] = dict(index)
    if unknown := settings.keys() - {"embed", "dims", "fields"}:
        raise ConfigError(f"index has no setting '{min(unknown)}': use embed, dims, fields")
    dims, fields = settings.get("dims"), settings.get("fields")
    if dims is not None and (isinstance(dims, bool) or not isinstance(dims, int) or dims < 1):
        raise ConfigError(f"dims of index has to be a positive number, not {described(dims)}")
    if fields is not None and (
        isinstance(fields, str) or not fields or not all(isinstance(field, str) for field in fields)
    ):
        raise ConfigError(f"fields of index has to be a list of fields, as in ['text'], not {described(fields)}")
    if settings.get("embed") is None:
        raise ConfigError("index names no embedding model: as in index={'embed': embeddings, 'dims': 1536}")
    return settings


def _model(embed: Any) -> Embeddings:
    if not (isinstance(embed, Embeddings | str) or callable(embed)):
        raise ConfigError(
            f"index has to be an embedding model (Embeddings, a function of a list of texts, or a name such as "
            f"'openai:text-embedding-3-small') or {{'embed': model, 'dims': …}}, not {described(embed)}"
        )
    try:
        return ensure_embeddings(embed)
    except Exception as error:  # a package, a key or the provider is missing
        name, reason = repr(embed) if isinstance(embed, str) else described(embed), normal_text(str(error))
        raise ConfigError(f"the embedding model {name} cannot be used: {shorten(reason, 200)}") from error


def _is_async(model: Embeddings) -> bool:
    """True for a model that LangGraph made of an asynchronous function, which has no blocking methods."""
    return getattr(model, "afunc", None) is not None


def _awaited(make: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    loop = CALLER_LOOP.get()
    if loop is None or not loop.is_running():
        return run_in_background(make)
    return asyncio.run_coroutine_threadsafe(make(), loop).result()


def within_limit(call: Callable[[], Any]) -> Any:
    """Call a blocking function on a daemon thread, within the time limit.

    Raises:
        TimeoutError: The function takes too long. Its thread is left behind.
    """
    done: Future[Any] = Future()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            done.set_result(context.run(call))
        except BaseException as error:  # noqa: BLE001 - `result` below raises it
            done.set_exception(as_exception(error))

    threading.Thread(target=work, daemon=True, name="orchestrator-embedder").start()
    try:
        return done.result(EMBEDDER_S)
    except TimeoutError:
        if done.done():
            raise
        raise TimeoutError(f"no answer within {EMBEDDER_S:g} s") from None
