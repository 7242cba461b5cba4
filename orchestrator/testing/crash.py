"""Crash helpers: kill a child process at an exact point, and count the effects that it had outside."""

import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.store.base import BaseStore, Item, Op, PutOp, Result

from orchestrator.concurrency import AWAITING, BLOCKING, Bridge, run_blocking
from orchestrator.persistence.rows.inserts import insert_if_absent
from orchestrator.persistence.rows.riders import keeps_journal, riders_of

TIME_LIMIT_S = 300.0

# Imported once, by the server that children are forked from, so that a test of many crash points stays fast.
_PRELOADED = ["orchestrator.runs.task_orchestrator", "orchestrator.testing", "langgraph.checkpoint.sqlite.aio"]


class EffectLog:
    """A count of effects outside the process: tools append to a file, and the file survives any kill.

    Args:
        path: The file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def record(self, name: str) -> None:
        """Record one effect durably."""
        handle = os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        try:
            os.write(handle, f"{name}\n".encode())
            os.fsync(handle)
        finally:
            os.close(handle)

    def counts(self) -> Counter[str]:
        """Return the number of times that each effect happened."""
        # A line without its end belongs to a write that a kill cut off.
        return Counter(self.path.read_text().split("\n")[:-1]) if self.path.exists() else Counter()


@dataclass(frozen=True)
class CrashAfter:
    """A crash point: the process kills itself with SIGKILL at its n-th write of a kind.

    Args:
        kind: `put` (a checkpoint), `writes` (a task's writes) or `store` (the shared memory and decisions).
        number: The number of the write, from 1.
        before: Die before the write instead of right after it.
    """

    kind: str
    number: int
    before: bool = False


class _Fuse:
    """Count writes of one kind and die at the chosen one."""

    def __init__(self, point: CrashAfter, kind: str) -> None:
        self._left = point.number if point.kind == kind else -1
        self._before = point.before
        self._lock = threading.Lock()  # `graph.invoke` runs workers in threads

    def burn(self, *, before: bool) -> None:
        with self._lock:
            if self._left < 0 or before != self._before:
                return
            self._left -= 1
            if self._left == 0:
                # No `finally` block and no exit hook runs, as when the machine ends the process.
                os.kill(os.getpid(), signal.SIGKILL)


class CrashingStore(BaseStore):
    """A store around another one, with a crash point at its writes.

    Args:
        inner: The real store.
        point: The write to die at.
    """

    def __init__(self, inner: BaseStore, point: CrashAfter) -> None:
        self._inner = inner
        self._fuse = _Fuse(point, "store")
        if keeps_journal(inner):
            self.riders = riders_of(inner)

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Pass on, and die at the chosen write."""
        listed = list(ops)
        writes = any(isinstance(op, PutOp) for op in listed)
        if writes:
            self._fuse.burn(before=True)
        results = self._inner.batch(listed)
        if writes:
            self._fuse.burn(before=False)
        return results

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Pass on, and die at the chosen write."""
        listed = list(ops)
        writes = any(isinstance(op, PutOp) for op in listed)
        if writes:
            self._fuse.burn(before=True)
        results = await self._inner.abatch(listed)
        if writes:
            self._fuse.burn(before=False)
        return results

    def insert_if_absent(self, op: PutOp, also: Sequence[PutOp] = ()) -> Item | None:
        """Pass on, and die at the chosen write."""
        return run_blocking(self._insert(BLOCKING, op, also))

    async def ainsert_if_absent(self, op: PutOp, also: Sequence[PutOp] = ()) -> Item | None:
        """Pass on, and die at the chosen write."""
        return await self._insert(AWAITING, op, also)

    async def _insert(self, bridge: Bridge, op: PutOp, also: Sequence[PutOp]) -> Item | None:
        self._fuse.burn(before=True)
        standing = await insert_if_absent(bridge, self._inner, op, also)
        self._fuse.burn(before=False)
        return standing


class CrashingSaver(BaseCheckpointSaver[Any]):
    """A checkpointer around another one, with a crash point at its writes.

    Args:
        inner: The real checkpointer.
        point: The write to die at.
    """

    def __init__(self, inner: BaseCheckpointSaver[Any], point: CrashAfter) -> None:
        super().__init__(serde=inner.serde)
        self._inner = inner
        self.riders = getattr(inner, "riders", None)
        self._puts = _Fuse(point, "put")
        self._writes = _Fuse(point, "writes")

    def drop_namespace(self, thread_id: str, checkpoint_ns: str) -> None:
        """Pass on if the inner checkpointer has this method; LangGraph's own ones have not."""
        drop = getattr(self._inner, "drop_namespace", None)
        if drop is not None:
            drop(thread_id, checkpoint_ns)

    def get_next_version(self, current: Any, channel: None) -> Any:
        """Pass on."""
        # The base class counts in numbers, and raises NotImplementedError at the texts of SqliteSaver.
        return self._inner.get_next_version(current, channel)

    def get_tuple(self, config: Any) -> CheckpointTuple | None:
        """Pass on."""
        return self._inner.get_tuple(config)

    async def aget_tuple(self, config: Any) -> CheckpointTuple | None:
        """Pass on."""
        return await self._inner.aget_tuple(config)

    def list(self, config: Any, **options: Any) -> Iterator[CheckpointTuple]:
        """Pass on."""
        return self._inner.list(config, **options)

    def alist(self, config: Any, **options: Any) -> AsyncIterator[CheckpointTuple]:
        """Pass on."""
        return self._inner.alist(config, **options)

    def put(self, *args: Any) -> Any:
        """Pass on, and die at the chosen checkpoint."""
        self._puts.burn(before=True)
        done = self._inner.put(*args)
        self._puts.burn(before=False)
        return done

    async def aput(self, *args: Any) -> Any:
        """Pass on, and die at the chosen checkpoint."""
        self._puts.burn(before=True)
        done = await self._inner.aput(*args)
        self._puts.burn(before=False)
        return done

    def put_writes(self, *args: Any) -> None:
        """Pass on, and die at the chosen writes."""
        self._writes.burn(before=True)
        self._inner.put_writes(*args)
        self._writes.burn(before=False)

    async def aput_writes(self, *args: Any) -> None:
        """Pass on, and die at the chosen writes."""
        self._writes.burn(before=True)
        await self._inner.aput_writes(*args)
        self._writes.burn(before=False)


def run_until_killed(target: Callable[..., object], *arguments: object) -> int:
    """Call a function in a child process, and wait until the function returns or the process is killed.

    The child is forked from a server that has imported the engine and nothing else.

    Args:
        target: A function at the top level of a module that can be imported by name.
        arguments: The arguments of the function; pickle has to take them.

    Returns:
        The exit code: 0 if the function returned, 1 if it raised, `-signal.SIGKILL` if the process was killed.

    Raises:
        TimeoutError: The child ran too long and was ended.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    child = context.Process(target=target, args=arguments)
    child.start()
    child.join(TIME_LIMIT_S)
    if child.exitcode is None:
        child.kill()
        child.join()
        raise TimeoutError(f"the child process did not end within {TIME_LIMIT_S:.0f} s")
    return child.exitcode
