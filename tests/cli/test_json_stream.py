"""`--json-stream`: one event a line as it comes, the whole run last, and an end that can be resumed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.main import main
from orchestrator.events import ReviewAsked, RunStarted, TextDelta, ToolReturned, parse_event
from orchestrator.testing import Fault, Gate, OpenAIServer, TeamScript, call, say
from tests.support.teams import step

PLAN = [step("a", agent="researcher"), step("c", "a", agent="coder")]
UNATTENDED = ("--auto-approve", "--thread", "t")
STEPS = [call("calculate", expression="6 * 7"), say("It\u2028is 42")]
SCRIPT = TeamScript(PLAN, results={"c": STEPS}, summary="It is 42.")


def lines_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    with pytest.raises(SystemExit) as exited:
        main(list(arguments))
    return int(str(exited.value.code)), [json.loads(line) for line in capsys.readouterr().out.split("\n")[:-1]]


def run_line(server: OpenAIServer, tmp_path: Path, *more: str) -> list[str]:
    return ["run", "x", "--json-stream", "--base-url", server.base_url, "--db", str(tmp_path / "x.db"), *more]


def test_each_line_is_an_event_and_the_last_is_the_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with OpenAIServer(SCRIPT) as server:
        code, lines = lines_of(capsys, *run_line(server, tmp_path, "--auto-approve", "--thread", "t"))
    *events, run = lines
    parsed = [parse_event(line) for line in events]
    assert code == 0
    assert parsed[0] == RunStarted()
    assert all(event is not None and event.thread_id == "t" for event in parsed)
    assert [event.answer for event in parsed if isinstance(event, ToolReturned)] == ["6 * 7 = 42"]
    words = [event.text for event in parsed if isinstance(event, TextDelta) and event.sub_task_id == "c"]
    assert "".join(words) == "It\u2028is 42"
    code, [shown] = lines_of(capsys, "show", "t", "--json", "--db", str(tmp_path / "x.db"))
    assert run == shown
    assert (run["status"], run["answer"]) == ("done", "It is 42.")


def test_reviews_are_events_and_a_resume_streams_too(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    db = ["--db", str(tmp_path / "x.db")]
    with OpenAIServer(SCRIPT) as server:
        code, lines = lines_of(capsys, *run_line(server, tmp_path, "--thread", "t"))
        assert (code, lines[-1]["status"]) == (3, "waiting")
        [asked] = [event.review for line in lines if isinstance(event := parse_event(line), ReviewAsked)]
        assert asked.id == lines[-1]["reviews"][0]["id"]
        with pytest.raises(SystemExit, match="0"):
            main(["decide", asked.id, "approve", *db])
        capsys.readouterr()
        code, lines = lines_of(capsys, "resume", "t", "--json-stream", *db)
        assert (code, lines[-1]["status"]) == (0, "done")
        assert parse_event(lines[0]) == RunStarted(resumed=True)
        code, lines = lines_of(capsys, "resume", "t", "--json-stream", *db)
        assert (code, len(lines), lines[0]["status"]) == (0, 1, "done")


def test_a_run_that_fails_says_so_in_its_last_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with OpenAIServer(SCRIPT, faults=lambda _: Fault(401, "no such key")) as server:
        code, lines = lines_of(capsys, *run_line(server, tmp_path, "--thread", "t"))
    assert code not in (0, 3)
    assert parse_event(lines[0]) == RunStarted()
    assert (lines[-1]["thread_id"], lines[-1]["status"]) == ("t", "interrupted")
    assert any("no such key" in error for error in lines[-1]["errors"])


@contextmanager
def program(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    env = {**os.environ, "PYTHONUNBUFFERED": ""}  # the program itself has to flush
    command = [sys.executable, "-m", "orchestrator", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # A shell ignores Ctrl-C for what it runs in the background, and so would the child of such a test run.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    child = subprocess.Popen(command, text=True, env=env, **pipes)
    signal.signal(signal.SIGINT, before)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def held(gate: Gate) -> TeamScript:
    return TeamScript([step("a", agent="researcher")], results={"a": say("one two three").behind(gate, after=2)})


def test_ctrl_c_ends_with_a_line_that_says_so_and_the_run_can_be_resumed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    gate = Gate()
    with OpenAIServer(held(gate)) as server, program(*run_line(server, tmp_path, *UNATTENDED)) as child:
        assert child.stdout is not None
        # The word comes while the model still answers, so nothing is kept back.
        assert any(" two" in line for line in iter(child.stdout.readline, "")), child.communicate()
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=30)
        last = json.loads(out.splitlines()[-1])
        assert (last["thread_id"], last["status"]) == ("t", "interrupted")
        assert "Traceback" not in err
        assert "go on with:" in err
        assert child.returncode not in (0, 3)
        gate.release()
        code, lines = lines_of(capsys, "resume", "t", "--json-stream", "--db", str(tmp_path / "x.db"))
    assert (code, lines[-1]["status"]) == (0, "done")


def test_a_reader_that_goes_away_ends_the_run_which_can_be_resumed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    gate = Gate()
    with OpenAIServer(held(gate)) as server, program(*run_line(server, tmp_path, *UNATTENDED)) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert json.loads(child.stdout.readline())["event"] == "run_started"
        child.stdout.close()
        err = child.stderr.read()
        assert child.wait(timeout=30) == 1
        assert "Traceback" not in err
        assert "Exception ignored" not in err
        assert "BrokenPipe" not in err
        assert "go on with:" in err
        gate.release()
        code, lines = lines_of(capsys, "resume", "t", "--json-stream", "--db", str(tmp_path / "x.db"))
    assert (code, lines[-1]["status"]) == (0, "done")
