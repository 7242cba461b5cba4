"""A child process that begins a thread with a scripted model, and dies as soon as the thread is durable."""

import os
import signal
from pathlib import Path

from orchestrator import Supervisor, TaskOrchestrator, Team, Worker
from orchestrator.testing import ScriptedModel, TeamScript
from tests.support.teams import step


def begin_and_die(folder: Path) -> None:
    """Begin the thread `t`."""
    team = Team(Supervisor(), [Worker("worker", "You work.")], model=ScriptedModel(TeamScript([step("a")])))
    with TaskOrchestrator(team=team, db=str(folder / "runs.db")) as orchestrator:
        orchestrator.on_begin = lambda _: os.kill(os.getpid(), signal.SIGKILL)
        orchestrator.run("go", thread_id="t")
