"""A user's own checkpointer and store, made to serve threads and event loops, or refused in one line.

LangGraph has savers for threads only (`SqliteSaver`, `PostgresSaver`) and savers for one event loop only
(`AsyncSqliteSaver`, `AsyncPostgresSaver`). The former raise a bare `NotImplementedError` on a loop, and the latter wait
for ever where their loop does not run.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from copy import copy
from functools import partial
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.store.base import BaseStore

from orchestrator.daemon_threads import in_own_thread
from orchestrator.errors import ConfigError

AnySaver = BaseCheckpointSaver[Any]

# A class for threads only has one of these, unless it overrides it.
_UNAVAILABLE: tuple[Callable[..., Any], ...] = (BaseCheckpointSaver.aget_tuple, SqliteSaver.aget_tuple)


def adapted_saver(saver: AnySaver) -> AnySaver:
    """Return a saver that serves threads and event loops, or says in one line where it cannot.

    It is the saver itself, or a shallow copy of a subclass with the same connection and lock.

    Args:
        saver: Any saver of LangGraph's.
    """
    kind = type(saver)
    if issubclass(kind, _ForLoops | _ForThreads):
        return saver
    if kind.aget_tuple in _UNAVAILABLE:
        mixin: type[Any] = _ForLoops
    elif kind.get_tuple is BaseCheckpointSaver.get_tuple or loop_of(saver) is not None:
        mixin = _ForThreads
    else:
        return saver
    # No wrapper: LangGraph copies savers itself, and users look for attributes of their own saver.
    adapted = copy(saver)
    adapted.__class__ = type(kind.__name__, (mixin, kind), {"__module__": kind.__module__})
    return adapted


def loop_of(part: AnySaver | BaseStore) -> asyncio.AbstractEventLoop | None:
    """Return the only event loop that a saver or store works on; None for one that works anywhere."""
    for name in ("loop", "_loop"):  # of AsyncSqliteSaver and AsyncPostgresSaver, and of AsyncBatchedBaseStore
        if isinstance(loop := getattr(part, name, None), asyncio.AbstractEventLoop):
            return loop
    return None


def check_loop(part: AnySaver | BaseStore) -> None:
    """Refuse a saver or store of another event loop than the one that runs here.

    Raises:
        ConfigError: It belongs to another loop.
    """
    loop = loop_of(part)
    if loop is not None and loop is not _running_loop():
        raise ConfigError(
            f"{_name(part)} belongs to the event loop that made it: await the async methods there (arun, aresume, "
            f"ainvoke), or give {_blocking_name(part)}"
        )


class _ForLoops(BaseCheckpointSaver[Any]):
    """Lets a saver for threads serve an event loop: each call has a thread of its own."""

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return await in_own_thread(partial(self.get_tuple, config))

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        # To its end on the thread: a generator would reach the database from the loop.
        for each in await in_own_thread(lambda: list(self.list(config, filter=filter, before=before, limit=limit))):
            yield each

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        return await in_own_thread(partial(self.put, config, checkpoint, metadata, new_versions))

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        await in_own_thread(partial(self.put_writes, config, writes, task_id, task_path))

    async def adelete_thread(self, thread_id: str) -> None:
        await in_own_thread(partial(self.delete_thread, thread_id))


class _ForThreads(BaseCheckpointSaver[Any]):
    """Lets a saver of one event loop say so, where it would wait for ever or fail without a word.

    Every invocation of a graph begins by reading a checkpoint.
    """

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        loop = loop_of(self)
        if loop is None or loop is _running_loop() or not loop.is_running():
            raise ConfigError(
                f"{_name(self)} has no blocking methods here: use ainvoke, astream or arun on its event loop, or "
                f"give {_blocking_name(self)}"
            )
        return super().get_tuple(config)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        check_loop(self)
        return await super().aget_tuple(config)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _name(part: object) -> str:
    return type(part).__name__


def _blocking_name(part: object) -> str:
    """Return the name of the class that does the same for threads."""
    name = _name(part)
    return f"a {name.removeprefix('Async')}" if name.startswith("Async") else "one with blocking methods"
