"""`orchestrator threads`: filters, order, JSON, and lines for any width."""

import json
import time
from pathlib import Path

import pytest

from orchestrator.cli.threads.list import STATUSES, thread_lines
from orchestrator.persistence.database import Persistence
from orchestrator.runs.run import EXIT_CODES
from orchestrator.runs.threads.record import DELETING, UNREADABLE, ThreadRecord
from tests.cli.test_main import Cli, cli

__all__ = ["cli"]

HOUR, DAY = 3600, 86400


def record(name: str, status: str, age_s: float, team: str = "research_team", **usage: object) -> None:
    """Put a thread into the list of this test's database."""
    now = time.time() - age_s
    item = {"task": f"task of {name}", "status": status, "created": now - DAY, "updated": now, "usage": usage}
    with Persistence(Path("runs.db").resolve()) as opened:
        opened.store.put(("orchestrator", "threads"), name, {**item, "about": {"team": team}})


@pytest.fixture(autouse=True)
def threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    record("old", "done", 3 * DAY, cost_usd=0.01234)
    record("asks", "waiting", 90, team="mine:team", input_tokens=1200, output_tokens=34)
    record("broke", "failed", 5 * HOUR)


def names(cli: Cli, *options: str) -> list[str]:
    code, out, err = cli("threads", *options)
    assert code == 0, err
    return [line.split()[0] for line in out.splitlines()]


def test_the_newest_is_first_and_filters_choose(cli: Cli) -> None:
    assert names(cli) == ["asks", "broke", "old"]
    assert names(cli, "--status", "waiting") == ["asks"]
    assert names(cli, "--status", "waiting", "--status", "done") == ["asks", "old"]
    assert names(cli, "--since", "2d") == ["asks", "broke"]
    assert names(cli, "--since", "1h") == ["asks"]
    assert names(cli, "--since", "2020-01-01", "--limit", "1") == ["asks"]
    assert names(cli, "--team", "mine:team") == ["asks"]
    assert cli("threads", "--since", "5s")[1] == "no thread is like that\n"


def test_json_has_times_age_team_and_usage_of_the_same_threads(cli: Cli) -> None:
    [row] = json.loads(cli("threads", "--status", "waiting", "--json")[1])
    assert (row["thread_id"], row["status"], row["team"]) == ("asks", "waiting", "mine:team")
    assert row["updated"] - row["created"] == pytest.approx(DAY)
    assert 90 <= row["age_s"] < 9000
    assert row["usage"] == {"input_tokens": 1200, "output_tokens": 34}


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("--status", "waitingg", "'waitingg' is no status: did you mean 'waiting'?"),
        ("--status", "xyz", f"use one of {', '.join(STATUSES)}"),
        ("--since", "yesterday", "'yesterday' is no time: write 30m, 3h, 2d, 1w, or a date"),
    ],
)
def test_a_filter_that_means_nothing_is_one_line(cli: Cli, option: str, value: str, problem: str) -> None:
    code, _, err = cli("threads", option, value)
    assert code == 2
    assert problem in err


def test_every_status_can_be_asked_for() -> None:
    assert {*EXIT_CODES, UNREADABLE, DELETING} == set(STATUSES)


def test_a_pipe_gets_whole_lines_that_do_not_depend_on_the_clock(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    line = cli("threads", "--status", "done")[1].splitlines()[0]
    assert line.startswith("old  done  20")
    assert line.endswith("Z  $0.0123  task of old")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_lines_fit_the_terminal_and_give_the_whole_name(width: int) -> None:
    long = "compare-the-populations-of-two-cities-1a2b3c"
    rows = [
        ThreadRecord(long, "Compare the populations of two cities " * 4, "interrupted", 0, 0, usage={"cost_usd": 12.5}),
        ThreadRecord("t", "Short\nand\tsweet", "done", 0, 9 * DAY - 61),
    ]
    lines = thread_lines(rows, 9 * DAY, width)
    assert max(map(len, lines)) <= width
    assert lines[0].startswith(long)
    assert "1 w" in "".join(lines[:2])
    assert "1 m" in lines[-1]
    assert "Short and sweet" in "".join(lines)
    assert "Compare the pop" in "".join(lines[:2])
