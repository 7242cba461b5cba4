"""A thread is read whole while another process writes it."""

import asyncio
from pathlib import Path

import pytest

from orchestrator import OrchestratorClient
from orchestrator.runs.thread_states import ThreadStates
from orchestrator.testing import Gate, TeamScript, say
from tests.support.running import Running, planned
from tests.support.teams import open_team, step


def test_a_review_is_open_at_every_moment_of_a_run_that_pauses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, plan = Gate(), planned(step("a", approval=True), step("slow"))
    read = ThreadStates.snapshot
    with open_team(TeamScript([], results={"slow": say("s").behind(gate)}), tmp_path / "x.db") as team:
        running = Running(team.run, "go", plan=plan, thread_id="t")
        running.seen.until_asked("a")

        async def read_just_before_the_pause(states: ThreadStates, thread_id: str) -> object:
            snapshot = await read(states, thread_id)
            if states is client._states:
                gate.release()
                run = await asyncio.to_thread(running.result)  # the run works on this loop
                assert run.status == "waiting"
            return snapshot

        with OrchestratorClient(tmp_path / "x.db") as client:
            monkeypatch.setattr(ThreadStates, "snapshot", read_just_before_the_pause)
            [review] = client.reviews("t")
            assert review.sub_task_id == "a"
