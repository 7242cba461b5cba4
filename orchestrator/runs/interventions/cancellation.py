"""Cancellation of a run, from any process.

An order to cancel is a row of the store that names the run: one holding of the thread's lease. It can therefore not
reach a later run of the thread, whatever is killed or overtaken between the order and the run's end. A run that obeys
says so in a row of its own, which the next run deletes.

A run is cancelled as its caller would cancel it: through its asyncio task. Requests to models, asynchronous tools and
all waits end at once. A blocking tool goes on unattended on its own thread, as after its time limit.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Literal, Self

from langgraph.store.base import BaseStore, GetOp, PutOp

from orchestrator.concurrency import AWAITING, Bridge
from orchestrator.persistence.database import Persistence
from orchestrator.persistence.leases import UNSIGNED
from orchestrator.persistence.namespaces import ROOT
from orchestrator.runs.run import Run

CancelResult = Literal["cancelled", "not running", "asked"]

_ORDERS = (ROOT, "cancel")
_OBEYED = (ROOT, "cancelled")
_PATIENCE_S = 10.0
_CHECK_S = 0.05


@dataclass(frozen=True)
class CancelOrder:
    """An order to cancel a run.

    Args:
        run: The run, as its thread's lease names it.
        by: The user who gave the order; empty where the system has none.
    """

    run: str
    by: str = ""

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> "CancelOrder":
        """Read the row of an order."""
        return cls(str(row.get("run", "")), str(row.get("by", "")))

    def __str__(self) -> str:
        return f"cancelled by {self.by}" if self.by else "cancelled"

    def applied_to(self, run: Run) -> Run:
        """Return the run as the order left it; a run that had ended before stays as it is."""
        return replace(run, status="interrupted", errors=(str(self), *run.errors)) if run.is_resumable else run


class CancelScope:
    """The part of a coroutine that an order cancels. Its task itself goes on behind the block.

    Args:
        persistence: The database.
        thread_id: The thread, whose lease the caller holds.

    Attributes:
        order: The order that ended the block; None when the block ended by itself.
    """

    def __init__(self, persistence: Persistence, thread_id: str) -> None:
        self.order: CancelOrder | None = None
        self._run = persistence.run_of(thread_id)
        self._listening = persistence.watch.listening(_ORDERS, thread_id, self._receive)
        self._is_open = False

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._loop = task, asyncio.get_running_loop()
        self._cancelled_before = task.cancelling()
        self._is_open = True
        self._listening.__enter__()
        return self

    def _receive(self, row: Mapping[str, Any]) -> None:
        order = CancelOrder.parse(row)
        if order.run == self._run:
            with contextlib.suppress(RuntimeError):  # the loop was closed, and the run with it
                self._loop.call_soon_threadsafe(self._cancel, order)

    def _cancel(self, order: CancelOrder) -> None:
        if self._is_open and self.order is None:
            self.order = order
            self._task.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self._is_open = False
        self._listening.__exit__(None, None, None)
        # As `asyncio.timeout` does it: a cancellation by the run's caller stays one.
        if self.order is None or self._task.uncancel() > self._cancelled_before:
            return False
        return kind is not None and issubclass(kind, asyncio.CancelledError)


async def cancel_run(persistence: Persistence, thread_id: str, by: str) -> CancelResult:
    """Order the run that holds a thread to end, and wait for some seconds until it has.

    Args:
        persistence: The database.
        thread_id: The thread.
        by: The user who gives the order.
    """
    last = time.monotonic() + _PATIENCE_S
    # Another process sends no signal when it has signed.
    while (run := persistence.run_of(thread_id)) == UNSIGNED and time.monotonic() < last:  # noqa: ASYNC110
        await asyncio.sleep(_CHECK_S)
    # Between two looks another order may overwrite this one, but only an order to an earlier run.
    while run and persistence.run_of(thread_id) == run:
        if await _read(persistence.store, _ORDERS, thread_id) != run:
            await AWAITING.batch(persistence.store, [PutOp(_ORDERS, thread_id, {"run": run, "by": by}, index=False)])
            persistence.watch.look()
        elif time.monotonic() > last:
            return "asked"
        await asyncio.sleep(_CHECK_S)
    is_obeyed = run and await _read(persistence.store, _OBEYED, thread_id) == run
    return "cancelled" if is_obeyed else "not running"


async def _read(store: BaseStore, namespace: tuple[str, ...], thread_id: str) -> str:
    """Return the run that a row names; empty if there is no row."""
    order = await _find(AWAITING, store, namespace, thread_id)
    return "" if order is None else order.run


async def _find(bridge: Bridge, store: BaseStore, namespace: tuple[str, ...], thread_id: str) -> CancelOrder | None:
    row: Any = (await bridge.batch(store, [GetOp(namespace, thread_id)]))[0]
    return None if row is None else CancelOrder.parse(row.value)


async def mark_cancelled(bridge: Bridge, store: BaseStore, thread_id: str, order: CancelOrder) -> None:
    """Record that a run ended because of an order, for those who gave it and for all who look at the thread."""
    await bridge.batch(store, [PutOp(_OBEYED, thread_id, {"run": order.run, "by": order.by}, index=False)])


async def last_cancelled(bridge: Bridge, store: BaseStore, thread_id: str) -> CancelOrder | None:
    """Return the order that ended the thread's last run; None if something else ended it."""
    return await _find(bridge, store, _OBEYED, thread_id)


async def forget_cancelled(bridge: Bridge, store: BaseStore, thread_id: str) -> None:
    """Forget that an order ended the thread's last run, since another one begins. Call this under the lease."""
    if await last_cancelled(bridge, store, thread_id) is not None:
        await bridge.batch(store, [PutOp(_OBEYED, thread_id, None)])


async def forget_orders(bridge: Bridge, store: BaseStore, thread_id: str) -> None:
    """Delete the rows of a deleted thread."""
    await bridge.batch(store, [PutOp(namespace, thread_id, None) for namespace in (_ORDERS, _OBEYED)])
