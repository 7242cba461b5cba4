"""The background loop outlives what its tasks do, nobody waits for a lost one, and forked children have their own."""

import asyncio
import subprocess
import sys
import threading

import pytest

from orchestrator import background
from orchestrator.background import BackgroundWork, LoopLostError, run_in_background
from orchestrator.daemon_threads import UnusualExitError
from orchestrator.errors import ConfigError

PROGRAM = """
import asyncio, os, sys, threading
from orchestrator.background import run_in_background
async def work(): return 7
async def hang():
    import time
    time.sleep(600)
assert run_in_background(work) == 7
"""


def program(body: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM + body], capture_output=True, text=True, timeout=timeout_s, check=False
    )


async def seven() -> int:
    return 7


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()], ids=repr)
def test_work_that_would_end_the_loop_raises_an_ordinary_error(error: BaseException) -> None:
    async def work() -> None:
        raise error

    with pytest.raises(UnusualExitError, match=type(error).__name__):
        run_in_background(work)
    assert run_in_background(seven) == 7


def test_a_task_beside_the_work_may_raise_system_exit(caplog: pytest.LogCaptureFixture) -> None:
    async def leave() -> None:
        raise SystemExit(3)

    async def work() -> int:
        aside = asyncio.ensure_future(leave())
        await asyncio.wait([aside])
        assert isinstance(aside.exception(), SystemExit)
        return 7

    assert run_in_background(work) == 7
    assert "SystemExit(3)" in caplog.text


def test_a_time_out_of_the_work_is_the_works_own() -> None:
    async def work() -> None:
        raise TimeoutError("is the VPN up?")

    with pytest.raises(TimeoutError, match="VPN"):
        run_in_background(work)


def test_a_task_that_stops_the_loop_stops_nobody_else() -> None:
    async def work() -> int:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0)
        return 7

    assert run_in_background(work) == 7


def test_nobody_waits_for_a_loop_that_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_CHECK_S", 0.01)
    waiting = BackgroundWork(asyncio.Event().wait)
    with monkeypatch.context() as lost:
        lost.setattr(background._BackgroundLoop, "is_alive", False)
        with pytest.raises(LoopLostError, match="resumed"):
            waiting.result()
    waiting.cancel()


def test_a_blocking_call_on_the_loop_itself_is_refused() -> None:
    async def work() -> None:
        run_in_background(seven)

    with pytest.raises(ConfigError, match="would wait for itself"):
        run_in_background(work)


def test_more_blocking_calls_than_the_default_pool_has_threads() -> None:
    meeting = threading.Barrier(64)

    async def work() -> int:
        return len(await asyncio.gather(*(asyncio.to_thread(meeting.wait, 60) for _ in range(64))))

    assert run_in_background(work) == 64


def test_a_forked_child_has_a_loop_of_its_own() -> None:
    done = program(
        "pid = os.fork()\n"
        "if pid == 0:\n    os._exit(0 if run_in_background(work) == 7 else 1)\n"
        "code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])\n"
        "assert run_in_background(work) == 7\nsys.exit(code)"
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_fork_while_the_loop_is_being_made_leaves_no_lock_behind() -> None:
    done = program(
        "from orchestrator import background\n"
        "background._lock.acquire()\n"
        "pid = os.fork()\n"
        "if pid == 0:\n    os._exit(0 if run_in_background(work) == 7 else 1)\n"
        "background._lock.release()\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    )
    assert done.returncode == 0


@pytest.mark.parametrize(
    "body",
    [
        "pid = os.fork()\nif pid == 0: sys.exit(0)\nsys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))",
        "threading.Thread(target=run_in_background, args=(hang,), daemon=True).start()\nimport time; time.sleep(0.2)",
    ],
    ids=["a forked child", "a task that blocks the loop"],
)
def test_the_program_ends_at_once(body: str) -> None:
    done = program(body, timeout_s=30)  # the hang lasts 600 s
    assert (done.returncode, done.stderr) == (0, "")
