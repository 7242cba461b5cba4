"""Loggers: silent unless asked, at sensible levels, without secrets and without the texts of a run."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import Supervisor, TaskOrchestrator, Worker
from orchestrator.logs import logger
from orchestrator.testing import OpenAIServer, ScriptedModel, TeamScript, call
from tests.support.teams import step, writer

PLAN = [step("a", agent="clerk")]


def run_once() -> None:
    script = TeamScript(PLAN, results={"a": [call("write", text="private words"), "done"]}, summary="private answer")
    worker = Worker("clerk", "You write.", tools=[writer([])])
    with TaskOrchestrator(Supervisor(), [worker], db="memory://", model=ScriptedModel(script)) as orchestrator:
        orchestrator.run("private task", thread_id="t", auto_approve=True)


def test_a_run_is_told_by_its_thread_and_without_its_texts(caplog: pytest.LogCaptureFixture) -> None:
    # The command line, which other tests call in this process, leaves these two at a level of their own.
    for name in ("orchestrator", "orchestrator.tool_calls", "orchestrator.model_calls"):
        caplog.set_level(logging.DEBUG, name)
    run_once()
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert told[0] == ("INFO", "thread t: the run begins")
    assert told[-1] == ("INFO", "thread t: the run is done")
    assert ("DEBUG", "thread t: sub-task a calls 'write'") in told
    assert {record.name.split(".")[0] for record in caplog.records} == {"orchestrator"}
    assert "private" not in caplog.text


def test_a_program_without_logging_prints_nothing() -> None:
    program = "from tests.test_logs import run_once, logger; run_once(); logger('orchestrator.x').error('no')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_secrets_are_taken_out_of_texts_and_tracebacks(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise ValueError("refused sk-abcdefghijkl")
    except ValueError:
        logger("orchestrator.x").warning("the key %s", "sk-abcdefghijkl", exc_info=True)
    assert "sk-abc" not in caplog.text
    assert "the key ***" in caplog.text


@pytest.mark.parametrize(
    ("options", "environment", "printed"),
    [
        ([], {}, []),
        (["-v"], {}, ["INFO orchestrator.runs.task_orchestrator: thread t: the run begins"]),
        (["-vv"], {}, ["DEBUG orchestrator.graph.recording: thread t: sub-task a is running"]),
        ([], {"ORCHESTRATOR_LOG": "info"}, ["thread t: the run is done"]),
    ],
)
def test_the_command_line_prints_the_log_when_asked(
    tmp_path: Path, options: list[str], environment: dict[str, str], printed: list[str]
) -> None:
    with OpenAIServer(TeamScript([step("a", agent="researcher")])) as server:
        done = command(
            [*options, "run", "t", "--thread", "t", "--auto-approve"], tmp_path, server.base_url, environment
        )
    assert done.returncode == 0, done.stderr
    assert all(line in done.stderr for line in printed)
    assert ("orchestrator.runs" in done.stderr) == bool(printed)


def test_a_level_that_is_none_is_one_clear_line(tmp_path: Path) -> None:
    done = command(["threads"], tmp_path, "http://127.0.0.1:9", {"ORCHESTRATOR_LOG": "loud"})
    assert (done.returncode, done.stderr.strip()) == (
        2,
        "error: ORCHESTRATOR_LOG=loud is no level: use debug, info, warning or error",
    )


def command(
    arguments: list[str], folder: Path, url: str, environment: dict[str, str]
) -> "subprocess.CompletedProcess[str]":
    import os

    database = ["--db", str(folder / "x.db")]
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *arguments, *database],
        env={**os.environ, "OPENAI_BASE_URL": url, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
