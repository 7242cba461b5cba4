"""A clock that was put back: a resume goes on from the newest step, pays nothing again, and ends."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import id as langgraph_ids
from langgraph.checkpoint.base.id import uuid6

from orchestrator.errors import PersistenceError
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.persistence.sqlite.checkpoint_ids import start_after
from orchestrator.server.studio import Database, ServerSaver
from orchestrator.testing import CrashAfter, EffectLog, TeamScript, run_until_killed
from tests.scenarios.test_crash import KILLED, effects_of
from tests.support.crash_child import CHAIN, run_or_resume
from tests.support.teams import open_team, step

DAY_S = 86_400


def on_a_clock_put_back(days: int, folder: Path, *arguments: Any) -> None:
    """Runs in a process whose clock is behind."""
    seconds, nanoseconds = time.time, time.time_ns
    time.time = lambda: seconds() - days * DAY_S
    time.time_ns = lambda: nanoseconds() - days * DAY_S * 10**9
    run_or_resume(folder, *arguments)


@pytest.mark.parametrize("point", [CrashAfter("put", 6), CrashAfter("writes", 5), CrashAfter("store", 4)], ids=str)
def test_resumed_on_clocks_that_are_further_and_further_behind(tmp_path: Path, point: CrashAfter) -> None:
    assert run_until_killed(run_or_resume, tmp_path, CHAIN, point) == KILLED
    assert run_until_killed(on_a_clock_put_back, 1, tmp_path, CHAIN, CrashAfter("put", 3)) == KILLED
    assert run_until_killed(on_a_clock_put_back, 400, tmp_path, CHAIN) == 0
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["status"] == "done"
    assert EffectLog(tmp_path / "effects").counts() == effects_of(CHAIN)


def set_back(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    """As if another process on another machine went on: its clock is behind, and it has made no id yet."""
    now = time.time_ns() - days * DAY_S * 10**9
    monkeypatch.setattr(langgraph_ids, "_last_v6_timestamp", None)
    monkeypatch.setattr(langgraph_ids.time, "time_ns", lambda: now)


def test_an_older_checkpoint_that_is_gone_on_with_sorts_after_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        (review,) = team.run("task", thread_id="t").reviews
        config = team._states.config("t")
        team.decide(review.id, "approve")
        assert team.resume("t").status == "done"
        before = next(s for s in team.graph.get_state_history(config) if s.next == ("approve_plan",))
        known = {s.config["configurable"]["checkpoint_id"] for s in team.graph.get_state_history(config)}
        set_back(monkeypatch, 1)
        team.graph.invoke(None, before.config)
        newest = team.graph.get_state(config)
        assert newest.config["configurable"]["checkpoint_id"] > max(known)
        assert newest.values["status"] == "done"


def test_the_servers_saver_keeps_the_order_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        (review,) = team.run("task", thread_id="t").reviews
        team.decide(review.id, "approve")
        config = team._states.config("t")
    set_back(monkeypatch, 1)

    async def read() -> Any:
        async with Database(str(tmp_path / "x.db")).use() as database:
            return await ServerSaver(database).aget_tuple(config)

    newest = asyncio.run(read())
    assert str(uuid6(clock_seq=-2)) > newest.checkpoint["id"]


def test_langgraph_takes_its_last_timestamp_from_where_we_raise_it() -> None:
    assert hasattr(langgraph_ids, "_last_v6_timestamp"), (
        "renamed: raise it in persistence/sqlite/checkpoint_ids.py by its name"
    )
    ahead = "2" + str(uuid6())[1:]
    before = langgraph_ids._last_v6_timestamp
    try:
        start_after(ahead)
        assert str(uuid6(clock_seq=0)) > ahead
    finally:
        langgraph_ids._last_v6_timestamp = before


def test_ids_of_other_programs_raise_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(langgraph_ids, "_last_v6_timestamp", None)
    for other in ("", "1", "no-uuid", "ffffffff-ffff-4fff-8fff-ffffffffffff"):
        start_after(other)
    assert langgraph_ids._last_v6_timestamp is None


def test_a_checkpoint_that_would_never_be_found_again_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it would be with a LangGraph that keeps its last timestamp elsewhere."""
    monkeypatch.setattr("orchestrator.persistence.sqlite.saver.start_after", lambda _: None)
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        (review,) = team.run("task", thread_id="t").reviews
        team.decide(review.id, "approve")
        set_back(monkeypatch, 1)
        with pytest.raises(PersistenceError, match="clock of this machine is behind"):
            team.resume("t")
        monkeypatch.undo()
        assert team.resume("t").status == "done"


def test_results_stay_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    seconds = 1_000_000.0
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        memory = SharedMemory(team.persistence.store, "t", clock=lambda: seconds)
        memory.store("z", "first")
        seconds -= DAY_S
        later = SharedMemory(team.persistence.store, "t", clock=lambda: seconds)
        later.store("y", "second")
        later.store("x", "third")
        again = SharedMemory(team.persistence.store, "t")
        assert [entry.text for entry in again.get_recent(3)] == ["first", "second", "third"]
