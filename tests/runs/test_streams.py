"""Streams of runs and resumes: the last item is the run, and a stream that ends early lets go of its thread."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import tool

from orchestrator import Run, RunStarted, SubTaskChanged, ThreadBusyError, ToolCalled, UnknownThreadError, declare
from orchestrator.events import Event
from orchestrator.testing import Gate, TeamScript, call, say
from tests.support.teams import model_of, open_team, step, worked

PLAN = [step("a"), step("b", "a")]


def held(gate: Gate) -> TeamScript:
    """A script whose first worker waits at a gate."""
    return TeamScript(PLAN, results={"a": say("done a").behind(gate)})


def test_a_resume_streams_its_events_and_ends_with_the_run(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a", approval=True)]), tmp_path / "x.db") as orchestrator:
        *events, run = orchestrator.stream("x", thread_id="t")
        assert isinstance(run, Run)
        assert events[0] == RunStarted(resumed=False)
        while run.reviews:
            orchestrator.decide(run.reviews[0], "approve")
            *events, run = orchestrator.stream_resume("t")
            assert isinstance(run, Run)
            assert events[0] == RunStarted(resumed=True)
            assert all(isinstance(event, Event) and event.thread_id == "t" for event in events)
        assert run.status == "done"
        assert list(orchestrator.stream_resume("t")) == [run], "nothing is left to do"


async def test_on_an_event_loop_too(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a", approval=True)]), tmp_path / "x.db") as orchestrator:
        run = [item async for item in orchestrator.astream("x", thread_id="t")][-1]
        while isinstance(run, Run) and run.reviews:
            await orchestrator.adecide(run.reviews[0], "approve")
            items = [item async for item in orchestrator.astream_resume("t")]
            assert isinstance(items[0], RunStarted)
            run = items[-1]
        assert isinstance(run, Run)
        assert run.status == "done"


def test_a_resume_that_is_not_read_to_the_end_can_be_resumed_again(tmp_path: Path) -> None:
    gate = Gate()
    with open_team(held(gate), tmp_path / "x.db") as orchestrator:
        orchestrator.run("x", thread_id="t")
        orchestrator.decide(orchestrator.reviews("t")[0], "approve")
        for _ in orchestrator.stream_resume("t"):
            if gate.entered.wait(0.01):
                break
        assert orchestrator.show("t").status == "interrupted"
        assert "b" not in worked(model_of(orchestrator))
        gate.release()
        assert orchestrator.resume("t").status == "done"


def test_errors_of_a_resume_come_out_of_its_stream(tmp_path: Path) -> None:
    with open_team(TeamScript(PLAN), tmp_path / "x.db") as orchestrator, pytest.raises(UnknownThreadError):
        list(orchestrator.stream_resume("none"))


class Slow:
    """A tool that goes on for a while after its run was cancelled; a second call answers at once."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.lets_go = asyncio.Event()
        self.steps: list[str] = []

        @tool
        async def wait() -> str:
            """Waits."""
            self.steps.append("began")
            if not self.began.is_set():
                self.began.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    while not self.lets_go.is_set():  # LangGraph cancels twice
                        with contextlib.suppress(asyncio.CancelledError):
                            await self.lets_go.wait()
                    self.steps.append("let go")
            return "waited"

        self.tool = declare(wait, risk="read")
        self.script = TeamScript([step("a", agent="tooled")], results={"a": [call("wait"), "done"]})


async def waits_for_more(orchestrator: Any, slow: Slow) -> None:
    async for _ in orchestrator.astream("x", thread_id="t", auto_approve=True):
        pass


async def is_in_the_body(orchestrator: Any, slow: Slow) -> None:
    async for event in orchestrator.astream("x", thread_id="t", auto_approve=True):
        if isinstance(event, ToolCalled):
            await asyncio.Event().wait()


async def keeps_the_stream(orchestrator: Any, slow: Slow) -> None:
    stream = orchestrator.astream("x", thread_id="t", auto_approve=True)
    async for event in stream:
        if isinstance(event, ToolCalled):
            await asyncio.Event().wait()


async def not_streamed(orchestrator: Any, slow: Slow) -> None:
    await orchestrator.arun("x", thread_id="t", auto_approve=True)


@pytest.mark.parametrize("reader", [waits_for_more, is_in_the_body, keeps_the_stream, not_streamed])
@pytest.mark.parametrize("other", [False, True], ids=["same orchestrator", "another one on the same database"])
@pytest.mark.parametrize("awaited", [True, False], ids=["awaited", "not awaited"])
async def test_a_cancelled_run_is_followed_by_a_resume_at_once_however_long_its_tool_takes_to_let_go(
    tmp_path: Path, reader: Callable[..., Any], other: bool, awaited: bool
) -> None:
    slow = Slow()
    with (
        open_team(slow.script, tmp_path / "x.db", slow.tool) as orchestrator,
        open_team(slow.script, tmp_path / "x.db", slow.tool) as second,
    ):
        reading = asyncio.ensure_future(reader(orchestrator, slow))
        await slow.began.wait()
        await asyncio.sleep(0)
        reading.cancel()
        if awaited:  # until the reader is in its `finally`, or has ended
            await asyncio.wait([reading], timeout=0.05)
        resumed = asyncio.ensure_future((second if other else orchestrator).aresume("t"))
        await asyncio.wait([resumed], timeout=0.4)  # longer than a run at work is waited for
        assert slow.steps == ["began"]
        slow.lets_go.set()
        assert (await resumed).status == "done"
        assert slow.steps == ["began", "let go", "began"]
        await asyncio.wait([reading])


@pytest.mark.parametrize("method", ["aresume", "adelete"])
async def test_a_run_that_is_at_work_is_not_waited_for(tmp_path: Path, method: str) -> None:
    gate = Gate()
    with open_team(held(gate), tmp_path / "x.db") as orchestrator:
        running = asyncio.ensure_future(orchestrator.arun("x", thread_id="t", auto_approve=True))
        assert await asyncio.to_thread(gate.entered.wait, 30)
        began = asyncio.get_running_loop().time()
        with pytest.raises(ThreadBusyError, match="already being run by this process"):
            await getattr(orchestrator, method)("t")
        assert asyncio.get_running_loop().time() - began < 2
        gate.release()
        assert (await running).status == "done"


@pytest.mark.parametrize("end", [lambda s: s.close(), lambda s: None], ids=["closed", "dropped"])
def test_a_blocking_stream_that_ends_early_is_followed_by_a_resume_at_once(
    tmp_path: Path, end: Callable[[Any], None]
) -> None:
    gate = Gate()
    with open_team(held(gate), tmp_path / "x.db") as orchestrator:
        stream = orchestrator.stream("x", thread_id="t", auto_approve=True)
        for event in stream:
            if isinstance(event, SubTaskChanged) and event.status == "running":
                break
        end(stream)
        del stream
        gate.release()
        assert orchestrator.resume("t").status == "done"
