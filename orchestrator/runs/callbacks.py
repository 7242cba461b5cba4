"""Callbacks of a caller: `on_event` and `on_review`."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from orchestrator.daemon_threads import as_exception
from orchestrator.errors import CallbackError

In = TypeVar("In")
Out = TypeVar("Out")


def guarded(name: str, callback: Callable[[In], Out] | None) -> Callable[[In], Out] | None:
    """Return a callback that cannot end the event loop; None for None.

    Args:
        name: The callback's name, for the error.
        callback: The caller's function.
    """
    if callback is None:
        return None

    def call(value: In) -> Out:
        try:
            return callback(value)
        # asyncio raises the first two of these out of its loop. A foreign CancelledError looks like a cancelled run.
        except (SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError) as error:
            raise _callback_error(name, error) from error

    return call


async def guarded_result(name: str, result: Awaitable[Out]) -> Out:
    """Return the result of a caller's coroutine, which cannot end the event loop either."""
    try:
        return await result
    except (SystemExit, KeyboardInterrupt, GeneratorExit) as error:
        raise _callback_error(name, error) from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise _callback_error(name, error) from error


def _callback_error(name: str, error: BaseException) -> CallbackError:
    return CallbackError(f"{name} ended with {as_exception(error)}; the thread can be resumed")
