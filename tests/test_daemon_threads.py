"""Blocking functions on threads of their own: nobody waits for another, and nothing ends the event loop."""

import asyncio
import contextvars
import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.daemon_threads import UnusualExitError, in_own_thread, with_ordinary_tasks


def raising(error: BaseException) -> Callable[[], None]:
    def function() -> None:
        raise error

    return function


async def test_more_of_them_run_at_once_than_any_pool_has_threads() -> None:
    meeting = threading.Barrier(64)
    assert len(await asyncio.gather(*(in_own_thread(lambda: meeting.wait(60)) for _ in range(64)))) == 64


async def test_what_it_returns_and_raises_reaches_whoever_waits() -> None:
    assert await in_own_thread(lambda: 7) == 7
    with pytest.raises(ValueError, match="no such lake"):
        await in_own_thread(raising(ValueError("no such lake")))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SystemExit(2), "SystemExit: 2"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (asyncio.CancelledError("by the tool"), "CancelledError: by the tool"),
        (StopIteration("over"), "StopIteration: over"),
        (GeneratorExit(), "GeneratorExit"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_what_would_end_the_loop_is_an_ordinary_error(error: BaseException, text: str) -> None:
    with pytest.raises(UnusualExitError, match=text):
        await in_own_thread(raising(error))


async def test_it_sees_the_context_variables_of_whoever_calls() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("mine")
    assert await in_own_thread(variable.get) == "mine"


async def test_a_cancelled_caller_leaves_it_behind() -> None:
    release, ended = threading.Event(), threading.Event()

    def hang() -> None:
        release.wait()
        ended.set()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await in_own_thread(hang)
    release.set()
    assert ended.wait(60)


def test_a_loop_that_was_closed_meanwhile_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    errors: list[object] = []
    monkeypatch.setattr(threading, "excepthook", errors.append)
    release = threading.Event()

    async def leave() -> None:
        task = asyncio.ensure_future(in_own_thread(release.wait, name="left-behind"))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(leave())
    [thread] = [thread for thread in threading.enumerate() if thread.name == "left-behind"]
    release.set()
    thread.join(60)
    assert errors == []


def test_a_program_ends_while_one_hangs() -> None:
    program = (
        "import asyncio, time\nfrom orchestrator.daemon_threads import in_own_thread\n"
        "async def main():\n"
        "    try:\n        await asyncio.wait_for(in_own_thread(lambda: time.sleep(600)), 0.05)\n"
        "    except TimeoutError: print('given up')\n"
        "asyncio.run(main())"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "given up\n"
    assert time.monotonic() - began < 60


async def test_tasks_of_other_code_and_the_loops_own_task_factory_stay_as_they_are() -> None:
    made: list[str] = []

    def factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        made.append(coroutine.__qualname__)
        return asyncio.Task(coroutine, loop=loop, **options)

    async def other() -> None:
        await asyncio.sleep(0)

    async def inner() -> None:
        raise SystemExit(3)

    async def outer() -> None:
        coroutine = other()
        context = contextvars.Context()  # not inside: nothing is guarded there
        task = asyncio.create_task(coroutine, context=context)
        assert task.get_coro() is coroutine
        await task
        await asyncio.gather(inner())

    loop = asyncio.get_running_loop()
    loop.set_task_factory(factory)
    with pytest.raises(UnusualExitError, match="SystemExit: 3"):
        await with_ordinary_tasks(outer())
    assert loop.get_task_factory() is factory
    assert [name.rpartition(".")[2] for name in made] == ["other", "inner"]
    loop.set_task_factory(None)


async def test_a_task_that_is_cancelled_before_its_first_step_leaves_no_coroutine_behind(
    recwarn: pytest.WarningsRecorder,
) -> None:
    async def inner() -> None:
        await asyncio.sleep(60)

    async def outer() -> None:
        task = asyncio.create_task(inner())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    await with_ordinary_tasks(outer())
    gc.collect()
    assert not recwarn.list


async def test_a_cancellation_of_its_caller_passes() -> None:
    task = asyncio.create_task(with_ordinary_tasks(asyncio.sleep(60)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
