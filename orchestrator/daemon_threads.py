"""Functions of users: blocking ones on daemon threads of their own, and none of them ends an event loop.

Asyncio's default executor is one pool for a whole loop, with four threads more than cores, and the interpreter joins
its threads before it ends. Tools that hang and people who think would hold up every other run of the process, and the
end of the program. A thread of its own costs about 0.1 ms, holds up nobody, and dies with the process.

Asyncio raises the `SystemExit` or `KeyboardInterrupt` of any task out of its loop, past all code that awaits the task.
LangChain makes a task of each model call, and LangGraph of each node. So the tasks themselves are guarded.
"""

import asyncio
import contextlib
import contextvars
import dis
import inspect
import signal
import threading
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial, wraps
from typing import Any, TypeVar

T = TypeVar("T")

_IS_GUARDED = contextvars.ContextVar("_IS_GUARDED", default=False)


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


def is_meant(error: BaseException) -> bool:
    """True for a cancellation of the caller's own task, and for a Ctrl-C: both have to pass."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return is_ctrl_c(error)


def is_ctrl_c(error: BaseException) -> bool:
    """True if a signal handler has raised the error, and no `raise` in the code that the signal interrupted."""
    trace = error.__traceback__
    if not isinstance(error, KeyboardInterrupt) or trace is None:
        return False
    if threading.current_thread() is not threading.main_thread():
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    handler = signal.getsignal(signal.SIGINT)
    while isinstance(handler, partial):  # asyncio's own
        handler = handler.func
    if code is getattr(getattr(handler, "__func__", handler), "__code__", None):
        return True
    return dis.opname[code.co_code[trace.tb_lasti]] != "RAISE_VARARGS"  # Python's own handler has no frame


def with_ordinary_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function, or a coroutine function, that raises no exception which would end a loop.

    A true cancellation of the caller's task and a Ctrl-C pass.

    Args:
        function: Code of a user.
    """
    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            try:
                return await function(*args, **kwargs)
            except BaseException as error:
                if is_meant(error) or (ordinary := as_exception(error)) is error:
                    raise
                raise ordinary from error

        return awaited

    @wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            if is_ctrl_c(error) or (ordinary := as_exception(error)) is error:
                raise
            raise ordinary from error

    return called


async def with_ordinary_tasks(work: Coroutine[Any, Any, T]) -> T:
    """Await a coroutine of a user. Neither its errors nor those of the tasks that it makes end the event loop.

    The loop has another task factory for as long, which leaves the tasks of all other code as they are.

    Args:
        work: The coroutine.

    Raises:
        UnusualExitError: It raised `SystemExit`, `KeyboardInterrupt` or the like, and nobody pressed Ctrl-C.
    """
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()
    factory = before if isinstance(before, _TaskFactory) else _TaskFactory(before)
    if factory is not before:
        loop.set_task_factory(factory)
    factory.users += 1
    token = _IS_GUARDED.set(True)
    try:
        return await work
    except BaseException as error:
        if is_meant(error) or (ordinary := as_exception(error)) is error:
            raise
        raise ordinary from error
    finally:
        _IS_GUARDED.reset(token)
        factory.users -= 1
        if not factory.users and loop.get_task_factory() is factory:
            loop.set_task_factory(factory.before)


class _TaskFactory:
    """Makes the tasks of guarded code of guarded coroutines.

    Args:
        before: The loop's own task factory; None for asyncio's default.
    """

    def __init__(self, before: Any) -> None:
        self.before = before
        self.users = 0

    def __call__(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> Any:
        context = options.get("context")
        if _IS_GUARDED.get() if context is None else context.get(_IS_GUARDED, False):
            coroutine = _Guarded(coroutine)
        return (self.before or _new_task)(loop, coroutine, **options)


def _new_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    return asyncio.Task(coroutine, loop=loop, **options)


class _Guarded(Coroutine[Any, Any, Any]):
    """A coroutine that ends by an ordinary error where its own would end the loop. No frame is added to it.

    A coroutine function around it would never await a coroutine whose task is cancelled before its first step.
    """

    def __init__(self, coroutine: Any) -> None:
        self._coroutine = coroutine

    def send(self, value: Any) -> Any:
        try:
            return self._coroutine.send(value)
        except Exception:
            raise
        except BaseException as error:
            if is_meant(error):
                raise
            # A `CancelledError` of the code itself, too: asyncio would make a task without words of it.
            raise as_exception(error) from error

    def throw(self, *error: Any) -> Any:
        try:
            return self._coroutine.throw(*error)
        except Exception:
            raise
        except BaseException as raised:
            if is_meant(raised):
                raise
            raise as_exception(raised) from raised

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        awaited: Generator[Any, Any, Any] = self._coroutine.__await__()
        return awaited

    def __getattr__(self, name: str) -> Any:  # asyncio shows a task by the name and the frame of its coroutine
        return getattr(self._coroutine, name)


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
