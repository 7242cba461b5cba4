"""Blocking functions on daemon threads of their own.

Asyncio's default executor is one pool for a whole loop, with four threads more than cores, and the interpreter joins
its threads before it ends. Tools that hang and people who think would hold up every other run of the process, and the
end of the program. A thread of its own costs about 0.1 ms, holds up nobody, and dies with the process.
"""

import asyncio
import contextlib
import contextvars
import inspect
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import wraps
from typing import Any, TypeVar

T = TypeVar("T")


class UnusualExitError(Exception):
    """A function ended by an exception that would end a thread, a loop or a program, such as `SystemExit`.

    Args:
        error: The exception.
    """

    def __init__(self, error: BaseException) -> None:
        self.error = error
        text = str(error)
        super().__init__(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def as_exception(error: BaseException) -> Exception:
    """Return an exception that a coroutine can raise without ending its event loop.

    `SystemExit` and `KeyboardInterrupt` break `run_forever`. A foreign `CancelledError` looks like the
    caller's own. `StopIteration` cannot be set on a future.
    """
    if isinstance(error, Exception) and not isinstance(error, StopIteration | asyncio.CancelledError):
        return error
    wrapped = UnusualExitError(error)
    wrapped.__cause__ = error
    return wrapped


def with_ordinary_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function, or a coroutine function, that raises no exception which would end a loop.

    A true cancellation of the caller's task passes.

    Args:
        function: Code of a user.
    """
    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            try:
                return await function(*args, **kwargs)
            except BaseException as error:
                task = asyncio.current_task()
                is_cancelled = isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling()
                if is_cancelled or (ordinary := as_exception(error)) is error:
                    raise
                raise ordinary from error

        return awaited

    @wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            if (ordinary := as_exception(error)) is error:
                raise
            raise ordinary from error

    return called


async def in_own_thread(function: Callable[[], T], name: str = "orchestrator-call") -> T:
    """Call a blocking function on a daemon thread, with the caller's context variables.

    A cancelled caller leaves the thread behind: Python cannot end a thread from outside.

    Args:
        function: The function.
        name: The thread's name, for debuggers.

    Raises:
        UnusualExitError: The function raised `SystemExit`, `KeyboardInterrupt`, `CancelledError` or `StopIteration`.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()  # LangGraph keeps the config of a node in a context variable

    def settle(result: Any, error: Exception | None) -> None:
        if future.done():  # the caller was cancelled
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    def work() -> None:
        result: Any = None
        failure: Exception | None = None
        try:
            result = context.run(function)
        except BaseException as error:  # noqa: BLE001 - the caller gets it
            failure = as_exception(error)
        with contextlib.suppress(RuntimeError):  # the loop was closed while the function hung
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=work, name=name, daemon=True).start()
    return await future


class OwnThreads(ThreadPoolExecutor):
    """An executor with a daemon thread for each call. No call waits in line, and no thread is joined.

    It is no pool, but `loop.set_default_executor` accepts only a `ThreadPoolExecutor`.
    """

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Call a function on a new thread."""
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - the caller gets it
                future.set_exception(as_exception(error))
            else:
                future.set_result(result)

        threading.Thread(target=work, name="orchestrator-call", daemon=True).start()
        return future
