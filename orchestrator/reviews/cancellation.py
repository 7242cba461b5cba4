"""Orders that end a run, and how the run of a bare graph obeys them.

An order is a row of the store that names a run. `TaskOrchestrator` obeys those that name its own holding of the
thread's lease. A bare graph holds no lease and has no name, so an order can name whatever runs on the thread. Such an
order counts for as long as its giver repeats it, with another beat each time. So it cannot reach a later run, whatever
is killed, and no clocks are compared.

A bare graph ends by LangGraph's own `GraphDrained`, which no retry policy repeats. `invoke(None, config)` goes on.
"""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Token
from types import TracebackType
from typing import Any, Literal, Self, cast

from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl
from langgraph.store.base import BaseStore, GetOp, Item, PutOp

from orchestrator.cancel_signal import SIGNAL, CancelSignal, WaitCancelledError
from orchestrator.concurrency import BLOCKING, Bridge
from orchestrator.persistence.row_watch import watch_of
from orchestrator.reviews.saved.cancel_orders import DRAINED, ORDERS, CancelOrder

_HINT = "invoke the graph with None as its input to go on"


class BareRun:
    """One invocation of a bare graph, as orders reach it. It listens while a node is at work.

    Args:
        store: The store of the thread.
        thread_id: The thread.
        control: LangGraph's control of the invocation. The graphs that nodes and tools call have the same.
        flush: Writes the spending that the run holds back, before the run pauses, fails or is cancelled.
    """

    def __init__(
        self, store: BaseStore, thread_id: str, control: object, flush: Callable[[Bridge], Awaitable[object]]
    ) -> None:
        self.store = store
        self.flush = flush
        self._thread_id = thread_id
        self._control = control
        self.signal = CancelSignal()
        self.order: CancelOrder | None = None
        self._seen: CancelOrder | None = None
        self.has_stopped = False
        self._nodes: list[_Node] = []
        self._listening = contextlib.ExitStack()
        self._lock = threading.Lock()

    def node(self, bridge: Bridge) -> "_Node":
        """Surround the work of a node. The block ends when an order comes.

        Raises:
            GraphDrained: An order has come.
        """
        return _Node(self, bridge)

    def enter(self, node: "_Node") -> None:
        """Count a node in.

        Raises:
            GraphDrained: The run has been cancelled already.
        """
        with self._lock:
            self.check()
            if not self._nodes:
                watch = watch_of(self.store)
                self._listening.enter_context(
                    watch.listening(ORDERS, self._thread_id, self._receive, only_changes=True)
                )
            self._nodes.append(node)

    def leave(self, node: "_Node") -> bool:
        """Count a node out. Return True if it was the last."""
        with self._lock:
            self._nodes.remove(node)
            if not self._nodes:
                self._listening.close()
            return not self._nodes

    def check(self) -> None:
        """Go on with a run that is not cancelled.

        Raises:
            GraphDrained: It is.
        """
        if self.order is not None:
            raise GraphDrained(f"{self.order}; {_HINT}")

    def row(self, how_far: Literal["obeyed", "ended"]) -> PutOp:
        """Return the operation that tells those who gave the order."""
        assert self.order is not None
        return PutOp(DRAINED, self._thread_id, {"run": self.order.run, "is": how_far}, index=False)

    def _receive(self, row: Mapping[str, Any]) -> None:
        order, before = CancelOrder.parse(row), self._seen
        if not order.is_for_any_run or self.order is not None:
            return
        self._seen = order
        if before in (None, order):  # perhaps an order of long ago, whose giver was killed
            return
        [drained] = cast("list[Item | None]", self.store.batch([GetOp(DRAINED, self._thread_id)]))
        if drained is not None and CancelOrder.parse(drained.value).run == order.run:
            return  # it has ended the run before this one
        with self._lock:
            if not self._nodes:
                return
            self.order = order
            nodes = list(self._nodes)
        try:
            self.store.batch([self.row("obeyed")])
        finally:
            if isinstance(self._control, RunControl):
                self._control.request_drain(f"{order}; {_HINT}")
            self.signal.set()
            for node in nodes:
                node.cancel()


class _Node:
    """The work of a node that an order cancels, on a thread or as a part of an asyncio task."""

    def __init__(self, run: BareRun, bridge: Bridge) -> None:
        self._run = run
        self._bridge = bridge
        self._task: asyncio.Task[object] | None = None
        self._token: Token[CancelSignal | None] | None = None
        self._is_open = False
        self._is_cancelled = False

    async def __aenter__(self) -> Self:
        if self._bridge is not BLOCKING:
            self._task, self._loop = asyncio.current_task(), asyncio.get_running_loop()
            assert self._task is not None
            self._cancelled_before = self._task.cancelling()
        self._run.enter(self)
        self._is_open = True
        if self._task is None:
            self._token = SIGNAL.set(self._run.signal)
        return self

    def cancel(self) -> None:
        """Cancel the task of the node, from any thread. Nodes on threads have the signal."""
        if self._task is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed, and the run with it
                self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self._is_open and self._task is not None:
            self._is_cancelled = self._task.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_open = False
        if self._token is not None:
            SIGNAL.reset(self._token)
        self._run.has_stopped |= kind is not None
        is_last = self._run.leave(self)
        if is_last and self._run.has_stopped:
            # Nodes that finish after another one has paused may be the last that spend in this process.
            await self._run.flush(self._bridge)
        if self._run.order is None:
            return
        # As `asyncio.timeout` does it: a cancellation by the run's caller stays one.
        is_by_others = False
        if self._task is not None:
            is_by_others = not self._is_cancelled or self._task.uncancel() > self._cancelled_before
        if is_last:
            await self._bridge.batch(self._run.store, [self._run.row("ended")])
        if kind is not None and issubclass(kind, asyncio.CancelledError | WaitCancelledError) and not is_by_others:
            self._run.check()
