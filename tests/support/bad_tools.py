"""Tools that exit, hang, die, fork and jump, and one job that uses them all, for every environment of a program.

`check` runs the job and returns what was wrong, so that a script, a server or a notebook can print it.
"""

import argparse
import asyncio
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any

from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool
from langgraph.types import Command, interrupt

from orchestrator import Limits, Run, Supervisor, TaskOrchestrator, Team, ToolReturned, Worker, declare
from orchestrator.testing import ScriptedModel, TeamScript, call

LIMIT_S = 1.0
NEVER = threading.Event()
"""Set by a test that looks for threads that are left behind; then the tools that hang return."""


def exits(x: str) -> str:
    """Exit as a program does."""
    sys.exit(3)


def parses(x: str) -> str:
    """Parse wrong arguments."""
    parser = argparse.ArgumentParser(exit_on_error=True)
    parser.error("no such option")


def interrupts(x: str) -> str:
    """Raise what Ctrl-C raises."""
    raise KeyboardInterrupt


def times_out(x: str) -> str:
    """Raise a timeout of its own."""
    raise TimeoutError("is the VPN up?")


def hangs(x: str) -> str:
    """Block for ever."""
    NEVER.wait()
    return "never"


async def hangs_async(x: str) -> str:
    """Wait for ever."""
    await asyncio.Event().wait()
    return "never"


async def cancels(x: str) -> str:
    """Cancel itself."""
    raise asyncio.CancelledError("the pool is closed")


async def exits_async(x: str) -> str:
    """Exit in a coroutine."""
    raise SystemExit("no licence")


def forks(x: str) -> str:
    """Fork a child that ends by itself."""
    pid = os.fork()
    if pid == 0:
        os._exit(7)
    return f"child ended with {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}"


def pools(x: str) -> str:
    """Start processes as multiprocessing does."""
    pool = multiprocessing.get_context("fork").Pool(1)
    total = pool.apply(sum, ([1, 2],))
    pool.close()  # its end by a signal would hang in a server that handles SIGTERM itself, such as gunicorn
    pool.join()
    return f"sum {total}"


def dies(x: str) -> str:
    """Start a program that is killed."""
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)
    return "lives"


def jumps(x: str) -> Command[Any]:
    """Answer with a command."""
    return Command(update={"messages": [ToolMessage("jumped", tool_call_id="x")]}, goto="nowhere")


def asks(x: str) -> str:
    """Ask a human."""
    return f"told {interrupt('Which city?')}"


# What the worker must be told, by the tool's name.
TOLD = {
    "exits": "SystemExit: 3",
    "parses": "SystemExit: 2",
    "interrupts": "KeyboardInterrupt",
    "times_out": "is the VPN up?",
    "hangs": "1 s",
    "hangs_async": "1 s",
    "cancels": "the pool is closed",
    "exits_async": "no licence",
    "forks": "child ended with 7",
    "pools": "sum 3",
    "dies": "SIGKILL",
    "jumps": "jumped",
    "asks": "told Oslo",
}


def bad_tools(*names: str) -> list[BaseTool]:
    """The tools of these names, or all."""
    # Only what hangs has to be given up soon. On a busy machine a process takes seconds to start.
    limits = dict.fromkeys(("hangs", "hangs_async"), LIMIT_S)
    return [declare(globals()[name], risk="read", time_limit_s=limits.get(name, 60)) for name in names or TOLD]


def plan_of(names: Iterable[str]) -> list[dict[str, Any]]:
    """A plan with one sub-task for each of these tools."""
    return [{"id": name, "description": f"use {name}", "target_agent": "clerk", "depends_on": []} for name in names]


def model() -> ScriptedModel:
    """A model whose plan has one sub-task for each tool, and whose workers call it."""
    plan = plan_of(TOLD)
    results = {name: [call(name, x="1"), f"{name} done"] for name in TOLD}
    return ScriptedModel(lambda request: TeamScript(plan, results=results)(request))


def team() -> Team:
    """A team whose one worker has all the tools."""
    return Team(
        Supervisor(), [Worker("clerk", "You use tools.", tools=bad_tools())], limits=Limits(parallel_workers=32)
    )


def open_job(db: str) -> TaskOrchestrator:
    """The job on a database."""
    return TaskOrchestrator(team=team(), db=db, model=model())


async def acheck(orchestrator: TaskOrchestrator, thread_id: str = "bad") -> list[str]:
    """Run the job in the caller's own event loop, and return what was wrong."""
    told: list[ToolReturned] = []
    began = time.monotonic()

    def listen(event: object) -> None:
        if isinstance(event, ToolReturned):
            told.append(event)

    run = await orchestrator.arun("try all", thread_id=thread_id, on_event=listen)
    run = await _answered(orchestrator, run, listen)
    return problems(run, told, time.monotonic() - began)


async def _answered(orchestrator: TaskOrchestrator, run: Run, listen: Any) -> Run:
    """Approve the plan, answer the question, and go on."""
    for _ in range(3):
        for review in run.reviews:
            answer = "answer" if review.kind == "question" else "approve"
            await orchestrator.adecide(review.id, answer, "Oslo")
        if run.reviews:
            run = await orchestrator.aresume(run.thread_id, on_event=listen)
    return run


def check(orchestrator: TaskOrchestrator, thread_id: str = "bad") -> list[str]:
    """Run the job from blocking code, and return what was wrong."""
    told: list[ToolReturned] = []
    began = time.monotonic()

    def listen(event: object) -> None:
        if isinstance(event, ToolReturned):
            told.append(event)

    run = orchestrator.run("try all", thread_id=thread_id, on_event=listen)
    for _ in range(3):
        for review in run.reviews:
            orchestrator.decide(review.id, "answer" if review.kind == "question" else "approve", "Oslo")
        if run.reviews:
            run = orchestrator.resume(run.thread_id, on_event=listen)
    return problems(run, told, time.monotonic() - began)


def problems(run: Run, told: list[ToolReturned], seconds: float) -> list[str]:
    """What was wrong with a job that has ended."""
    wrong = [] if run.status == "done" else [f"{run.status}: {run.errors} {run.reviews}"]
    last = {event.tool: event.answer or event.error for event in told}
    wrong += [f"{name}: {last.get(name)!r}" for name, words in TOLD.items() if words not in str(last.get(name))]
    wrong += [
        f"{i}: {outcome.status} {outcome.error}" for i, outcome in run.outcomes.items() if outcome.status != "succeeded"
    ]
    return [*wrong, *([f"took {seconds:.0f} s"] if seconds > 60 else [])]
