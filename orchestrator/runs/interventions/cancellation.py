"""Cancellation of a run, from any process.

An order to cancel is a row of the store that names the run: one holding of the thread's lease. It can therefore not
reach a later run of the thread, whatever is killed or overtaken between the order and the run's end. A run that obeys
says so in a row of its own, which the next run deletes. Runs of bare graphs hold no lease, and are ordered to end in
another way; see `reviews.cancellation`.

A run is cancelled as its caller would cancel it: through its asyncio task. Requests to models, asynchronous tools and
all waits end at once. A blocking tool goes on unattended on its own thread, as after its time limit.
"""

import asyncio
import contextlib
import itertools
import secrets
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Self

from langgraph.store.base import BaseStore, GetOp, PutOp

from orchestrator.concurrency import AWAITING, Bridge
from orchestrator.persistence.database import Persistence
from orchestrator.persistence.leases import UNSIGNED
from orchestrator.persistence.row_watch import POLL_S
from orchestrator.reviews.saved.cancel_orders import DRAINED, OBEYED, ORDERS, CancelOrder, find_order, last_cancelled

CancelResult = Literal["cancelled", "not running", "asked"]

_PATIENCE_S = 10.0
_CHECK_S = 0.05
_BEAT_S = 0.25
_BARE_PATIENCE_S = 3.5 * POLL_S  # two beats are seen by then, and the first one may have been missed


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
        self._listening = persistence.watch.listening(ORDERS, thread_id, self._receive)
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
    if not run:
        return await _cancel_bare_run(persistence, thread_id, by)
    # Between two looks another order may overwrite this one, but only an order to an earlier run.
    while run and persistence.run_of(thread_id) == run:
        if await _read(persistence.store, ORDERS, thread_id) != run:
            await AWAITING.batch(persistence.store, [_put(thread_id, CancelOrder(run, by))])
            persistence.watch.look()
        elif time.monotonic() > last:
            return "asked"
        await asyncio.sleep(_CHECK_S)
    is_obeyed = await _read(persistence.store, OBEYED, thread_id) == run
    return "cancelled" if is_obeyed else "not running"


async def _cancel_bare_run(persistence: Persistence, thread_id: str, by: str) -> CancelResult:
    """Order whatever runs on a thread without a lease to end, and wait until it has. See `reviews.cancellation`."""
    store, run, began = persistence.store, CancelOrder.for_any_run(secrets.token_hex(8)), time.monotonic()
    beats, next_beat, is_obeyed = itertools.count(), began, False
    try:
        while True:
            drained: Any = (await AWAITING.batch(store, [GetOp(DRAINED, thread_id)]))[0]
            if drained is not None and CancelOrder.parse(drained.value).run == run:
                is_obeyed = True
                if drained.value.get("is") == "ended":
                    return "cancelled"
            now = time.monotonic()
            if now - began > (_PATIENCE_S if is_obeyed else _BARE_PATIENCE_S):
                return "asked" if is_obeyed else "not running"
            if now >= next_beat and not is_obeyed:
                await AWAITING.batch(store, [_put(thread_id, CancelOrder(run, by, next(beats)))])
                persistence.watch.look()
                next_beat = now + _BEAT_S
            await asyncio.sleep(_CHECK_S)
    finally:
        await AWAITING.batch(store, [PutOp(ORDERS, thread_id, None)])


def _put(thread_id: str, order: CancelOrder) -> PutOp:
    return PutOp(ORDERS, thread_id, order.plain(), index=False)


async def _read(store: BaseStore, namespace: tuple[str, ...], thread_id: str) -> str:
    """Return the run that a row names; empty if there is no row."""
    order = await find_order(AWAITING, store, namespace, thread_id)
    return "" if order is None else order.run


async def mark_cancelled(bridge: Bridge, store: BaseStore, thread_id: str, order: CancelOrder) -> None:
    """Record that a run ended because of an order, for those who gave it and for all who look at the thread."""
    await bridge.batch(store, [PutOp(OBEYED, thread_id, {"run": order.run, "by": order.by}, index=False)])


async def forget_cancelled(bridge: Bridge, store: BaseStore, thread_id: str) -> None:
    """Forget that an order ended the thread's last run, since another one begins. Call this under the lease."""
    if await last_cancelled(bridge, store, thread_id) is not None:
        await bridge.batch(store, [PutOp(OBEYED, thread_id, None)])


async def forget_orders(bridge: Bridge, store: BaseStore, thread_id: str) -> None:
    """Delete the rows of a deleted thread."""
    await bridge.batch(store, [PutOp(namespace, thread_id, None) for namespace in (ORDERS, OBEYED, DRAINED)])
