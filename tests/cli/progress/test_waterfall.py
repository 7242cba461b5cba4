"""The waterfall: when each sub-task waited, worked, and was asked about, readable without colours."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.cells import cell_len

from orchestrator.cli.progress.glyphs import Glyphs
from orchestrator.cli.progress.waterfall import waterfall
from orchestrator.reports.history.task import AttemptHistory, TaskHistory
from orchestrator.reports.history.uses import ModelUse, Stretch, Wait
from orchestrator.testing import TeamScript
from tests.cli.progress.scene import a_console
from tests.cli.test_main import Cli, cli
from tests.support.teams import open_team, step

__all__ = ["cli"]

BEGAN = datetime(2026, 11, 28, 9, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def attempt(name: str, began: float, ended: float, *waits: Wait, status: str = "succeeded") -> AttemptHistory:
    outcome = {"seconds": ended - began}
    return AttemptHistory(
        name, began=at(began), ended=at(ended), status=status, outcome=outcome, waits=[*waits], agent="worker"
    )


def a_task(*attempts: AttemptHistory, stretches: tuple[tuple[float, float], ...] = ((0, 60),)) -> TaskHistory:
    task = TaskHistory("task", 1, BEGAN, ended=at(stretches[-1][1]), status="done", attempts=[*attempts])
    task.supervisor.append(ModelUse("supervisor", "m", "1", at(0), at(6)))
    for begin, end in stretches:
        task.stretches.append(Stretch(at(begin), ended=at(end)))
    return task


def drawn(task: TaskHistory, width: int = 80, most: int | None = None, *, ascii_only: bool = False) -> list[str]:
    glyphs = Glyphs.of(a_console(ascii_only=ascii_only))
    return [line.plain.rstrip() for line in waterfall(task, width, glyphs, most=most)]


def test_waiting_working_and_a_humans_turn_have_different_signs() -> None:
    waits = Wait("dependency", ["a"], at(6), at(30)), Wait("human", ["r"], at(40), at(50))
    lines = drawn(a_task(attempt("a", 6, 30), attempt("b", 30, 60, *waits)), 76)
    bars = [line[14:68] for line in lines[:3]]
    assert [bar.strip() for bar in bars] == ["█" * 5, "█" * 22, "·" * 22 + "█" * 9 + "?" * 9 + "█" * 9]
    assert bars[1].index("█") == 5, "it began when the supervisor had planned"
    assert lines[1].split()[-2:] == ["24", "s"]
    assert lines[-1] == "█ works, · waits, ? waits for you"


def test_a_pause_of_days_is_one_column() -> None:
    day = 86_400
    task = a_task(attempt("a", 6, day + 30), stretches=((0, 30), (day, day + 30)))
    lines = drawn(task, 76)
    assert [line.count("┊") for line in lines[:2]] == [1, 1]
    assert lines[1].count("█") > 40
    assert lines[2].split() == ["0", "1:00"], "the axis has the time in which a process was at work"
    assert "┊ pause" in lines[-1]


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_it_fits_the_terminal_and_its_encoding(width: int, ascii_only: bool) -> None:
    attempts = [attempt(f"t{number}", number, number + 9) for number in range(1, 36)]
    lines = drawn(a_task(*attempts), width, ascii_only=ascii_only)
    assert len(lines) == 35 + 3
    assert all(cell_len(line) <= width for line in lines)
    assert not ascii_only or "".join(lines).isascii()


def test_where_only_some_are_drawn_those_that_failed_and_those_that_took_longest_are() -> None:
    attempts = [attempt(f"t{number}", 10, 10 + number) for number in range(2, 36)]
    lines = drawn(a_task(*attempts, attempt("t1", 10, 10.1, status="failed")), most=3)
    assert {line.split()[1] for line in lines[1:4]} == {"t34", "t35", "t1"}


def test_an_attempt_that_was_cut_off_ends_with_its_process() -> None:
    task = a_task(AttemptHistory("a", began=at(6), status="running"), stretches=((0, 12),))
    task.ended = None
    assert drawn(task, 76)[1].split()[-2:] == ["6", "s"]


def test_the_log_draws_a_thread_that_has_ended(cli: Cli, tmp_path: Path) -> None:
    with open_team(TeamScript([step("a"), step("b", "a")]), tmp_path / "runs.db") as team:
        assert team.run("count", thread_id="t", auto_approve=True).status == "done"
    code, out, _ = cli("log", "t", "--waterfall")
    assert code == 0
    assert [line.split()[0:2] for line in out.splitlines()[1:3]] == [["✔", "a"], ["✔", "b"]]
    assert cli("log", "t", "--waterfall", "--follow")[0] == 2
