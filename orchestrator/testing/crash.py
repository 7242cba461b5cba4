"""Crash helpers: a child process that is killed at an exact point, and a log of what it did to the world outside."""

import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.store.base import BaseStore, Item, Op, PutOp, Result

from orchestrator.concurrency import AWAITING, BLOCKING, Bridge, run_blocking
from orchestrator.persistence.inserts import insert_if_absent

TIME_LIMIT_S = 300.0

_PRELOADED = ["orchestrator.runs.task_orchestrator", "orchestrator.testing", "langgraph.checkpoint.sqlite.aio"]


class EffectLog:
    """Counts effects outside the process: a file that tools append to, and that survives any kill.

    Args:
        path: The file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def record(self, name: str) -> None:
        """Notes one effect, durably."""
        handle = os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        try:
            os.write(handle, f"{name}\n".encode())
            os.fsync(handle)
        finally:
            os.close(handle)

    def counts(self) -> Counter[str]:
        """How often each effect happened."""
        return Counter(self.path.read_text().split("\n")[:-1]) if self.path.exists() else Counter()


@dataclass(frozen=True)
class CrashAfter:
    """A crash point: the process kills itself with SIGKILL at its n-th write of a kind.

    Args:
        kind: `put` (a checkpoint), `writes` (a task's writes) or `store` (the shared memory and decisions).
        number: Which one, from 1.
        before: Whether it dies before the write takes place, instead of right after.
    """

    kind: str
    number: int
    before: bool = False


class _Fuse:
    """Counts writes of one kind and dies at the chosen one."""

    def __init__(self, point: CrashAfter, kind: str) -> None:
        self._left = point.number if point.kind == kind else -1
        self._before = point.before
        self._lock = threading.Lock()

    def burn(self, *, before: bool) -> None:
        with self._lock:
            if self._left < 0 or before != self._before:
                return
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


class CrashingStore(BaseStore):
    """A store around another one, with a crash point at its writes.

    Args:
        inner: The real store.
        point: When to die.
    """

    def __init__(self, inner: BaseStore, point: CrashAfter) -> None:
        self._inner = inner
        self._fuse = _Fuse(point, "store")

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Passes on; dies at the chosen write."""
        listed = list(ops)
        writes = any(isinstance(op, PutOp) for op in listed)
        if writes:
            self._fuse.burn(before=True)
        found = self._inner.batch(listed)
        if writes:
            self._fuse.burn(before=False)
        return found

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Passes on; dies at the chosen write."""
        listed = list(ops)
        writes = any(isinstance(op, PutOp) for op in listed)
        if writes:
            self._fuse.burn(before=True)
        found = await self._inner.abatch(listed)
        if writes:
            self._fuse.burn(before=False)
        return found

    def insert_if_absent(self, op: PutOp) -> Item | None:
        """Passes on; dies at the chosen write."""
        return run_blocking(self._insert(BLOCKING, op))

    async def ainsert_if_absent(self, op: PutOp) -> Item | None:
        """Passes on; dies at the chosen write."""
        return await self._insert(AWAITING, op)

    async def _insert(self, bridge: Bridge, op: PutOp) -> Item | None:
        self._fuse.burn(before=True)
        standing = await insert_if_absent(bridge, self._inner, op)
        self._fuse.burn(before=False)
        return standing


class CrashingSaver(BaseCheckpointSaver[Any]):
    """A checkpointer around another one, with a crash point at its writes.

    Args:
        inner: The real checkpointer.
        point: When to die.
    """

    def __init__(self, inner: BaseCheckpointSaver[Any], point: CrashAfter) -> None:
        super().__init__(serde=inner.serde)
        self._inner = inner
        self._puts = _Fuse(point, "put")
        self._writes = _Fuse(point, "writes")

    def drop_namespace(self, thread_id: str, checkpoint_ns: str) -> None:
        """Passes on, where the inner one can."""
        drop = getattr(self._inner, "drop_namespace", None)
        if drop is not None:
            drop(thread_id, checkpoint_ns)

    def get_next_version(self, current: Any, channel: None) -> Any:
        """Passes on."""
        return self._inner.get_next_version(current, channel)

    def get_tuple(self, config: Any) -> CheckpointTuple | None:
        """Passes on."""
        return self._inner.get_tuple(config)

    async def aget_tuple(self, config: Any) -> CheckpointTuple | None:
        """Passes on."""
        return await self._inner.aget_tuple(config)

    def list(self, config: Any, **options: Any) -> Iterator[CheckpointTuple]:
        """Passes on."""
        return self._inner.list(config, **options)

    def alist(self, config: Any, **options: Any) -> AsyncIterator[CheckpointTuple]:
        """Passes on."""
        return self._inner.alist(config, **options)

    def put(self, *args: Any) -> Any:
        """Passes on; dies at the chosen checkpoint."""
        self._puts.burn(before=True)
        done = self._inner.put(*args)
        self._puts.burn(before=False)
        return done

    async def aput(self, *args: Any) -> Any:
        """Passes on; dies at the chosen checkpoint."""
        self._puts.burn(before=True)
        done = await self._inner.aput(*args)
        self._puts.burn(before=False)
        return done

    def put_writes(self, *args: Any) -> None:
        """Passes on; dies at the chosen writes."""
        self._writes.burn(before=True)
        self._inner.put_writes(*args)
        self._writes.burn(before=False)

    async def aput_writes(self, *args: Any) -> None:
        """Passes on; dies at the chosen writes."""
        self._writes.burn(before=True)
        await self._inner.aput_writes(*args)
        self._writes.burn(before=False)


def run_until_killed(target: Callable[..., object], *arguments: object) -> int:
    """Calls a function in a child process of its own, to its end or until it is killed.

    The child is forked from a server that has the engine imported and nothing more, so that a test of many crash
    points does not pay for the imports at each of them.

    Args:
        target: A function at the top level of a module that can be imported by name.
        arguments: Its arguments; they are pickled.

    Returns:
        The exit code: 0 when it returned, 1 when it raised, `-signal.SIGKILL` when it was killed.

    Raises:
        TimeoutError: It ran too long, and was ended.
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
