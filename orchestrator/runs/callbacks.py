"""Callbacks of a caller: `on_event` and `on_review`."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from orchestrator.daemon_threads import as_exception
from orchestrator.errors import CallbackError
from orchestrator.events import Event, Steered

In = TypeVar("In")
Out = TypeVar("Out")


def without_repeats(on_event: Callable[[Event], None] | None) -> Callable[[Event], None] | None:
    """Return a callback that is told of each instruction once; None for None."""
    if on_event is None:
        return None
    told = 0

    # Each invocation of the graph tells of all instructions, and one call of `run` may invoke it several times.
    def call(event: Event) -> None:
        nonlocal told
        if isinstance(event, Steered):
            if event.number <= told:
                return
            told = event.number
        on_event(event)

    return call


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
