"""kill -9 at every point where something becomes durable: nothing is lost, and nothing finished happens twice."""

import json
import signal
from collections import Counter
from pathlib import Path

import pytest

from orchestrator.testing import CrashAfter, EffectLog, run_until_killed
from tests.support.crash_child import CHAIN, DIAMOND, SubTasks, run_or_resume

KILLED = -signal.SIGKILL


def effects_of(plan: SubTasks) -> dict[str, int]:
    return {f"{task}{step}": 1 for task, _ in plan for step in (1, 2)}


def finish(folder: Path, plan: SubTasks, effect: str = "none") -> Counter[str]:
    """Resumes without a crash point, checks that the run is done, and gives the effects."""
    assert run_until_killed(run_or_resume, folder, plan, None, "", effect) == 0
    run = json.loads((folder / "run.json").read_text())
    assert run["status"] == "done"
    assert {o["status"] for o in run["outcomes"].values()} == {"succeeded"}
    return EffectLog(folder / "effects").counts()


def points(kind: str, *numbers: int, before: bool = False) -> list[CrashAfter]:
    return [CrashAfter(kind, number, before) for number in numbers]


def named(point: CrashAfter) -> str:
    return f"{point.kind}-{point.number}{'-before' if point.before else ''}"


@pytest.mark.parametrize(
    "point",
    [
        *points("put", 1, 2, 3, 4, 6, 9, 12),
        *points("writes", 1, 2, 3, 5, 7, 10),
        *points("store", 1, 2, 3, 4),
        *points("store", 1, 2, 3, 4, before=True),
    ],
    ids=named,
)
def test_a_kill_at_a_durable_point_loses_nothing_and_repeats_nothing(tmp_path: Path, point: CrashAfter) -> None:
    assert run_until_killed(run_or_resume, tmp_path, CHAIN, point) == KILLED
    assert finish(tmp_path, CHAIN) == effects_of(CHAIN)


@pytest.mark.parametrize("point", [*points("put", 5, 8), *points("writes", 4, 6, 9), *points("store", 3, 4)], ids=named)
def test_of_parallel_sub_tasks_only_the_calls_in_flight_are_repeated(tmp_path: Path, point: CrashAfter) -> None:
    assert run_until_killed(run_or_resume, tmp_path, DIAMOND, point) == KILLED
    begun = EffectLog(tmp_path / "effects").counts()
    in_flight = {max(name for name in begun if name[0] == task) for task in {name[0] for name in begun}}
    counts = finish(tmp_path, DIAMOND)
    assert set(counts) == set(effects_of(DIAMOND)), "an effect is missing"
    assert {name for name, count in counts.items() if count > 1} <= in_flight
    assert max(counts.values()) <= 2


def test_kills_over_and_over_still_come_to_the_end(tmp_path: Path) -> None:
    kills = 0
    while run_until_killed(run_or_resume, tmp_path, CHAIN, CrashAfter("writes", 3)) == KILLED:
        kills += 1
        assert kills < 20, "it makes no progress"
    assert kills >= 2
    assert finish(tmp_path, CHAIN) == effects_of(CHAIN)


def test_a_call_that_was_cut_off_is_made_again_when_that_does_no_harm(tmp_path: Path) -> None:
    assert run_until_killed(run_or_resume, tmp_path, CHAIN, None, "b2", "idempotent") == KILLED
    assert finish(tmp_path, CHAIN, "idempotent") == {**effects_of(CHAIN), "b2": 2}


def test_a_call_that_was_cut_off_and_must_happen_once_is_left_to_a_human(tmp_path: Path) -> None:
    assert run_until_killed(run_or_resume, tmp_path, CHAIN, None, "b2", "once") == KILLED
    assert finish(tmp_path, CHAIN, "once") == effects_of(CHAIN)
    asked = json.loads((tmp_path / "run.json").read_text())["asked"]
    assert any("it may have had its effect or not" in stake for stake in asked)
