"""Bridge: one body of code behind both `graph.invoke` and `graph.ainvoke`.

LangGraph runs nodes in threads or on an event loop, and most of its savers and stores serve only one of the two. So
that no node is written twice, nodes are coroutines that do all input and output through a `Bridge`. On the event loop
the bridge awaits. In a thread it calls the blocking twin and never suspends, and `run_blocking` drives the coroutine to
its end without a loop.
"""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from orchestrator.cancel_signal import WaitCancelledError, wait_for
from orchestrator.daemon_threads import as_exception, in_own_thread, with_ordinary_tasks
from orchestrator.errors import ConfigError

if TYPE_CHECKING:  # commands that only look load this module, and no LangChain
    from langchain_core.runnables import Runnable, RunnableConfig
    from langgraph.store.base import BaseStore, Op, Result

T = TypeVar("T")


class TimeLimitError(TimeoutError):
    """A call took longer than the bridge's limit. A call's own `TimeoutError` is passed on as it is."""


class Waiter(Protocol):
    """A signal that is given once. Call `wake` from the thread that runs the bridge's code."""

    def wake(self) -> None:
        """End the wait. Further calls do nothing."""

    async def wait(self) -> None:
        """Return after `wake` was called."""


class Bridge(Protocol):
    """Input and output of nodes, in threads or on an event loop."""

    async def invoke(
        self, runnable: "Runnable[Any, Any]", value: object, config: "RunnableConfig | None" = None, **kwargs: Any
    ) -> Any:
        """Invoke a model, a chain or a graph."""

    async def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function: a blocking one in a thread, a coroutine function on the event loop."""

    async def call_within(self, seconds: float, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function as `call` does, within a time limit. In a thread, a late function goes on unattended.

        Raises:
            TimeLimitError: The function took longer.
            UnusualExitError: The function raised `SystemExit` or the like, which would end a loop or a thread.
        """

    async def within(self, seconds: float, body: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine function that uses this bridge, within a time limit as in `call_within`.

        Raises:
            TimeLimitError: The coroutine took longer.
            UnusualExitError: The coroutine raised `SystemExit` or the like.
        """

    async def offload(self, function: Callable[[], T]) -> T:
        """Call a blocking function without blocking the event loop."""

    async def sleep(self, seconds: float) -> None:
        """Wait while other coroutines and threads go on."""

    async def batch(self, store: "BaseStore", ops: "Iterable[Op]") -> "list[Result]":
        """Carry out operations on a store."""

    def waiter(self) -> Waiter:
        """Return a fresh waiter."""

    def lock(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Return a fresh lock, to be used with `async with`."""


class _ThreadWaiter:
    def __init__(self) -> None:
        self._event = threading.Event()

    def wake(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        wait_for(self._event)


class _LoopWaiter:
    def __init__(self) -> None:
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake(self) -> None:
        if not self._future.done():  # woken before, or its waiter was cancelled
            self._future.set_result(None)

    async def wait(self) -> None:
        await self._future


class _ThreadLock(contextlib.AbstractAsyncContextManager[None]):
    def __init__(self) -> None:
        # An asyncio.Lock belongs to a loop, and threads have none.
        self._lock = threading.Lock()

    async def __aenter__(self) -> None:
        self._lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()


class _Blocking:
    """The bridge for threads: nothing in it suspends."""

    async def invoke(
        self, runnable: "Runnable[Any, Any]", value: object, config: "RunnableConfig | None" = None, **kwargs: Any
    ) -> Any:
        return runnable.invoke(value, config, **kwargs)

    async def call(self, function: Callable[..., Any], *args: Any) -> Any:
        return function(*args)

    async def within(self, seconds: float, body: Callable[[], Coroutine[Any, Any, T]]) -> T:
        result: T = await self.call_within(seconds, lambda: run_blocking(body()))
        return result

    async def call_within(self, seconds: float, function: Callable[..., Any], *args: Any) -> Any:
        done: Future[Any] = Future()
        context = contextvars.copy_context()  # LangGraph keeps the config of a node in a context variable

        def work() -> None:
            try:
                done.set_result(context.run(function, *args))
            except BaseException as error:  # noqa: BLE001 - `result` below raises it
                done.set_exception(as_exception(error))

        # A daemon: a function that never returns must not keep the process from ending.
        threading.Thread(target=work, daemon=True, name="orchestrator-tool").start()
        is_done = threading.Event()
        done.add_done_callback(lambda _: is_done.set())
        try:
            wait_for(is_done, min(seconds, threading.TIMEOUT_MAX))
        except WaitCancelledError:
            if not done.done() or done.exception() is not None:
                raise
        if not done.done():
            raise TimeLimitError
        return done.result()

    async def offload(self, function: Callable[[], T]) -> T:
        return function()

    async def sleep(self, seconds: float) -> None:
        wait_for(threading.Event(), seconds)

    async def batch(self, store: "BaseStore", ops: "Iterable[Op]") -> "list[Result]":
        try:
            return store.batch(ops)
        except asyncio.InvalidStateError as error:  # LangGraph: a store of this thread's own event loop
            raise ConfigError(
                f"{type(store).__name__} has no blocking methods on its own event loop: use the async methods there"
            ) from error

    def waiter(self) -> Waiter:
        return _ThreadWaiter()

    def lock(self) -> contextlib.AbstractAsyncContextManager[None]:
        return _ThreadLock()


async def _within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await with_ordinary_tasks(work)
    except TimeoutError:
        if limit.expired():  # our limit, and no TimeoutError of the work itself
            raise TimeLimitError from None
        raise


class _Awaiting:
    """The bridge for an event loop."""

    async def invoke(
        self, runnable: "Runnable[Any, Any]", value: object, config: "RunnableConfig | None" = None, **kwargs: Any
    ) -> Any:
        return await runnable.ainvoke(value, config, **kwargs)

    async def call(self, function: Callable[..., Any], *args: Any) -> Any:
        return await function(*args)

    async def within(self, seconds: float, body: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return await _within(seconds, body())

    async def call_within(self, seconds: float, function: Callable[..., Any], *args: Any) -> Any:
        return await _within(seconds, function(*args))

    async def offload(self, function: Callable[[], T]) -> T:
        return await in_own_thread(function)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def batch(self, store: "BaseStore", ops: "Iterable[Op]") -> "list[Result]":
        try:
            return await store.abatch(ops)
        except NotImplementedError:  # a store for threads alone
            return await in_own_thread(partial(store.batch, list(ops)))

    def waiter(self) -> Waiter:
        return _LoopWaiter()

    def lock(self) -> contextlib.AbstractAsyncContextManager[None]:
        return cast(contextlib.AbstractAsyncContextManager[None], asyncio.Lock())


BLOCKING: Bridge = _Blocking()
AWAITING: Bridge = _Awaiting()


def run_blocking(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that uses only the blocking bridge, without an event loop.

    Raises:
        RuntimeError: The coroutine suspended, because code in it awaited something else than the bridge.
    """
    try:
        coroutine.send(None)
    except StopIteration as done:
        return cast(T, done.value)
    coroutine.close()  # runs its `finally` blocks
    raise RuntimeError("a coroutine on the blocking bridge suspended; it must do its waiting through the bridge")
