"""One body of code behind both `graph.invoke` and `graph.ainvoke`.

LangGraph runs nodes in threads or on an event loop, and each of its savers and stores serves one of the two. To
avoid writing every node twice, nodes are coroutines that do all their input and output through a `Bridge`. On the
event loop the bridge awaits; in a thread it calls the blocking twin and never suspends, so that `run_blocking` can
drive the coroutine to its end without a loop.
"""

import asyncio
import contextlib
import contextvars
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar, cast

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.store.base import BaseStore, Op, Result

from orchestrator.daemon_threads import as_exception, in_own_thread

T = TypeVar("T")


class TimeLimitError(TimeoutError):
    """A call took longer than the bridge's limit. A `TimeoutError` of the call's own is another one."""


class Waiter(Protocol):
    """Something to wait for once; `wake` may be called from the thread that runs the bridge's code."""

    def wake(self) -> None:
        """Ends the wait; further calls do nothing."""

    async def wait(self) -> None:
        """Returns after `wake` was called."""


class Bridge(Protocol):
    """Input and output of nodes, blocking or awaiting."""

    async def invoke(
        self, runnable: Runnable[Any, Any], value: object, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Any:
        """Invokes a model, a chain or a graph."""

    async def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Calls a handler that is blocking on the blocking bridge, and a coroutine function on the other."""

    async def call_within(self, seconds: float, function: Callable[..., Any], *args: Any) -> Any:
        """The same within a time limit; what cannot be cancelled is left behind.

        Raises:
            TimeLimitError: It took longer.
        """

    async def within(self, seconds: float, body: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Runs a coroutine function that uses this bridge, within a time limit; see `call_within`.

        Raises:
            TimeLimitError: It took longer.
        """

    async def offload(self, function: Callable[[], T]) -> T:
        """Calls a blocking function where it does not hold up the event loop."""

    async def sleep(self, seconds: float) -> None:
        """Waits; others go on."""

    async def batch(self, store: BaseStore, ops: Iterable[Op]) -> list[Result]:
        """Carries out operations on a store."""

    def waiter(self) -> Waiter:
        """A fresh waiter."""

    def lock(self) -> contextlib.AbstractAsyncContextManager[None]:
        """A fresh lock, to be used with `async with`."""


class _ThreadWaiter:
    def __init__(self) -> None:
        self._event = threading.Event()

    def wake(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        self._event.wait()


class _LoopWaiter:
    def __init__(self) -> None:
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    async def wait(self) -> None:
        await self._future


class _ThreadLock(contextlib.AbstractAsyncContextManager[None]):
    def __init__(self) -> None:
        self._lock = threading.Lock()

    async def __aenter__(self) -> None:
        self._lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()


class _Blocking:
    """The bridge for threads: nothing in it suspends."""

    async def invoke(
        self, runnable: Runnable[Any, Any], value: object, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Any:
        return runnable.invoke(value, config, **kwargs)

    async def call(self, function: Callable[..., Any], *args: Any) -> Any:
        return function(*args)

    async def within(self, seconds: float, body: Callable[[], Coroutine[Any, Any, T]]) -> T:
        made: T = await self.call_within(seconds, lambda: run_blocking(body()))
        return made

    async def call_within(self, seconds: float, function: Callable[..., Any], *args: Any) -> Any:
        done: Future[Any] = Future()
        context = contextvars.copy_context()  # LangGraph finds its configuration there

        def work() -> None:
            try:
                done.set_result(context.run(function, *args))
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                done.set_exception(as_exception(error))

        threading.Thread(target=work, daemon=True, name="orchestrator-tool").start()
        try:
            return done.result(seconds)
        except TimeoutError:
            if done.done():
                raise
            raise TimeLimitError from None

    async def offload(self, function: Callable[[], T]) -> T:
        return function()

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251 - this bridge is the one for threads

    async def batch(self, store: BaseStore, ops: Iterable[Op]) -> list[Result]:
        return store.batch(ops)

    def waiter(self) -> Waiter:
        return _ThreadWaiter()

    def lock(self) -> contextlib.AbstractAsyncContextManager[None]:
        return _ThreadLock()


async def _within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await work
    except TimeoutError:
        if limit.expired():
            raise TimeLimitError from None
        raise


class _Awaiting:
    """The bridge for an event loop."""

    async def invoke(
        self, runnable: Runnable[Any, Any], value: object, config: RunnableConfig | None = None, **kwargs: Any
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

    async def batch(self, store: BaseStore, ops: Iterable[Op]) -> list[Result]:
        return await store.abatch(ops)

    def waiter(self) -> Waiter:
        return _LoopWaiter()

    def lock(self) -> contextlib.AbstractAsyncContextManager[None]:
        return cast(contextlib.AbstractAsyncContextManager[None], asyncio.Lock())


BLOCKING: Bridge = _Blocking()
AWAITING: Bridge = _Awaiting()


def run_blocking(coroutine: Coroutine[Any, Any, T]) -> T:
    """Drives a coroutine that uses only the blocking bridge.

    Raises:
        RuntimeError: The coroutine suspended, so something in it awaited past the bridge.
    """
    try:
        coroutine.send(None)
    except StopIteration as done:
        return cast(T, done.value)
    coroutine.close()
    raise RuntimeError("a coroutine on the blocking bridge suspended; it must do its waiting through the bridge")


class BridgedNode(Runnable[Any, Any]):
    """A graph node from one coroutine function `body(bridge, state, config)`."""

    def __init__(self, name: str, body: Callable[[Bridge, Any, RunnableConfig], Coroutine[Any, Any, Any]]) -> None:
        self.name = name
        self._body = body

    def invoke(self, input: Any, config: RunnableConfig | None = None, **_: Any) -> Any:
        """Runs the body in this thread."""
        return run_blocking(self._body(BLOCKING, input, config or {}))

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **_: Any) -> Any:
        """Runs the body on the event loop."""
        return await self._body(AWAITING, input, config or {})
