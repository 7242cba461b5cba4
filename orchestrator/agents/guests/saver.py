"""SubSaver: the checkpoints of a guest's graph, kept among those of the thread that the guest works for."""

from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)


class SubSaver(BaseCheckpointSaver[Any]):
    """A saver that shows one namespace of a thread as a thread of its own.

    The graph of a guest is not nested in LangGraph's sense: it may be called several times in one execution of a node,
    and is resumed with `Command(resume=…)`. Its checkpoints are deleted with those of the node all the same.

    Args:
        saver: The thread's own saver.
        thread_id: The thread.
        namespace: The namespace of the node.
    """

    def __init__(self, saver: BaseCheckpointSaver[Any], thread_id: str, namespace: str) -> None:
        super().__init__(serde=saver.serde)
        self._saver = saver
        self._thread_id = thread_id
        self._namespace = namespace

    def with_allowlist(self, extra_allowlist: Collection[tuple[str, ...]]) -> "SubSaver":
        """Return a saver that can also read these types."""
        return SubSaver(self._saver.with_allowlist(extra_allowlist), self._thread_id, self._namespace)

    def get_next_version(self, current: Any, channel: None) -> Any:
        """Return the version after this one."""
        return self._saver.get_next_version(current, channel)

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the checkpoint with its pending writes."""
        return self._shown(self._saver.get_tuple(self._stored(config)))

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Async twin of `get_tuple`."""
        return self._shown(await self._saver.aget_tuple(self._stored(config)))

    def list(self, config: RunnableConfig | None, **options: Any) -> Iterator[CheckpointTuple]:
        """Yield the checkpoints, newest first."""
        for found in self._saver.list(self._stored(config or {"configurable": {}}), **options):
            if (shown := self._shown(found)) is not None:
                yield shown

    async def alist(self, config: RunnableConfig | None, **options: Any) -> AsyncIterator[CheckpointTuple]:
        """Async twin of `list`."""
        async for found in self._saver.alist(self._stored(config or {"configurable": {}}), **options):
            if (shown := self._shown(found)) is not None:
                yield shown

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Save a checkpoint."""
        return self._plain(self._saver.put(self._stored(config), checkpoint, metadata, new_versions))

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Async twin of `put`."""
        return self._plain(await self._saver.aput(self._stored(config), checkpoint, metadata, new_versions))

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Save the writes of a node."""
        self._saver.put_writes(self._stored(config), writes, task_id, task_path)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Async twin of `put_writes`."""
        await self._saver.aput_writes(self._stored(config), writes, task_id, task_path)

    def _stored(self, config: RunnableConfig) -> RunnableConfig:
        inner = str(config["configurable"].get("checkpoint_ns") or "")
        namespace = f"{self._namespace}|{inner}" if inner else self._namespace
        return _at(config, self._thread_id, namespace)

    def _plain(self, config: RunnableConfig) -> RunnableConfig:
        namespace = str(config["configurable"].get("checkpoint_ns") or "")
        return _at(config, self._thread_id, namespace.removeprefix(self._namespace).removeprefix("|"))

    def _shown(self, found: CheckpointTuple | None) -> CheckpointTuple | None:
        if found is None:
            return None
        parent = self._plain(found.parent_config) if found.parent_config is not None else None
        return found._replace(config=self._plain(found.config), parent_config=parent)


def _at(config: RunnableConfig, thread_id: str, namespace: str) -> RunnableConfig:
    return {**config, "configurable": {**config["configurable"], "thread_id": thread_id, "checkpoint_ns": namespace}}
