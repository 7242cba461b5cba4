"""`orchestrator log` and `watch` tell of a run in any process, and never disturb it."""

import contextlib
import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.main import main
from orchestrator.journal.record import JournalRecord
from orchestrator.testing import Gate, TeamScript, call, say
from tests.cli.test_main import Cli, cli
from tests.support.teams import open_team, step, writer
from tests.test_control_characters import HOSTILE, commands_in

__all__ = ["cli"]

PLAN = [step("a", agent="tooled"), step("b", "a")]


def results(text: str = "lakes") -> Any:
    return {"a": [call("write", text=text), say("3 lakes")]}


@pytest.fixture
def done(tmp_path: Path) -> list[JournalRecord]:
    """The journal of a run that has ended."""
    tool = writer([], risk="read")
    with open_team(TeamScript(PLAN, results=results()), tmp_path / "runs.db", tool) as team:
        assert team.run("count", thread_id="t", auto_approve=True).status == "done"
        return team.journal("t")


@contextmanager
def at_work(tmp_path: Path) -> Iterator[Gate]:
    """A run that is in the middle of its tool call until the gate is released."""
    gate = Gate()

    def dig(depth: int) -> str:
        """Dig."""
        gate.wait()
        return "dug"

    script = TeamScript(PLAN, results={"a": [call("dig", depth=3), say("done")]})
    with open_team(script, tmp_path / "runs.db", dig) as team:
        running = threading.Thread(target=lambda: team.run("dig", thread_id="t", auto_approve=True))
        running.start()
        try:
            assert gate.entered.wait(60)
            yield gate
        finally:
            gate.release()
            running.join()
        assert team.show("t").status == "done"


def test_the_log_has_one_line_for_each_record(cli: Cli, done: list[JournalRecord]) -> None:
    lines = cli("log", "t")[1].splitlines()
    assert [int(line.split()[0]) for line in lines] == [record.seq for record in done]
    assert sum('write(text="lakes")' in line for line in lines) == 1
    assert any("sub-task ended: succeeded" in line and "3 lakes" in line for line in lines)


def test_the_log_as_json_has_the_records_as_they_are(cli: Cli, done: list[JournalRecord]) -> None:
    lines = cli("log", "t", "--json")[1].splitlines()
    assert [json.loads(line) for line in lines] == [record.to_dict() for record in done]


def test_the_log_is_chosen_by_number_kind_and_sub_task(cli: Cli, done: list[JournalRecord]) -> None:
    def numbers(*options: str) -> list[int]:
        return [json.loads(line)["seq"] for line in cli("log", "t", "--json", *options)[1].splitlines()]

    assert numbers("--since", "5") == [record.seq for record in done if record.seq > 5]
    assert numbers("--sub-task", "b") == [record.seq for record in done if record.sub_task == "b"]
    kinds = ("tool_called", "tool_returned")
    chosen = [record.seq for record in done if record.kind in kinds]
    assert numbers("--kind", kinds[0], "--kind", kinds[1]) == chosen
    assert len(chosen) == 2


@pytest.mark.usefixtures("done")
def test_a_kind_that_there_is_not_is_one_line(cli: Cli) -> None:
    code, _, err = cli("log", "t", "--kind", "tool_calls")
    assert code == 2
    assert "did you mean 'tool_called'?" in err
    assert cli("log", "nobody")[0] == 2


def test_the_log_follows_a_run_to_its_end(cli: Cli, tmp_path: Path) -> None:
    with at_work(tmp_path) as gate:
        threading.Timer(0.5, gate.release).start()  # whenever it comes, the end is told
        out = cli("log", "t", "--follow")[1]
    assert "run ended: done" in out


def test_watching_shows_a_run_and_ends_with_it(cli: Cli, tmp_path: Path) -> None:
    with at_work(tmp_path) as gate:
        threading.Timer(0.5, gate.release).start()
        code, out, err = cli("watch", "t")
    assert (code, out) == (0, "the answer\n")
    assert "a calls dig(depth=3)" in err
    assert "b succeeded" in err
    assert "is not running" not in err


@pytest.mark.usefixtures("done")
def test_watching_a_finished_thread_tells_how_it_went(cli: Cli) -> None:
    code, out, err = cli("watch", "t")
    assert (code, out) == (0, "the answer\n")
    assert "t is not running" in err
    assert "a succeeded in" in err


def test_watching_a_thread_that_waits_for_a_human_ends_as_run_does(cli: Cli, tmp_path: Path) -> None:
    with open_team(TeamScript(PLAN), tmp_path / "runs.db") as team:
        team.run("count", thread_id="t")
    code, out, err = cli("watch", "t")
    assert code == 3
    assert "waits for a human" in err
    assert "decide t/plan-" in out


def watch_t(db: str, printed: str) -> None:
    with open(printed, "w", buffering=1) as file:
        os.dup2(file.fileno(), 2)  # the line about Ctrl-C is written past Python's streams
        with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
            main(["watch", "t", "--db", db])


def test_ctrl_c_ends_the_watching_and_not_the_run(tmp_path: Path) -> None:
    with at_work(tmp_path):
        context: Any = multiprocessing.get_context("forkserver")
        printed = tmp_path / "printed"
        child = context.Process(target=watch_t, args=(str(tmp_path / "runs.db"), str(printed)))
        child.start()
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and not (printed.exists() and "a running" in printed.read_text()):
            time.sleep(0.05)
        assert "a running" in printed.read_text()
        os.kill(child.pid, signal.SIGINT)
        child.join(60)
        assert child.exitcode == 130


def test_texts_in_records_never_command_the_terminal(cli: Cli, tmp_path: Path) -> None:
    tool = writer([], risk="read")
    with open_team(TeamScript(PLAN, results=results(HOSTILE)), tmp_path / "runs.db", tool) as team:
        team.run(f"go {HOSTILE}", thread_id="t", auto_approve=True)
    for words in (["log", "t"], ["log", "t", "--json"], ["watch", "t"]):
        code, out, err = cli(*words)
        assert code == 0
        assert commands_in(out + err) == []
