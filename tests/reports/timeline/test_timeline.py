"""A timeline tells what worked when, why the rest waited, and what decided the end."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from orchestrator import Decision, JournalRecord, Limits, Review
from orchestrator.reports.history.reading import histories
from orchestrator.reports.history.task import TaskHistory
from orchestrator.reports.timeline.bars import Bar, Row, Timeline
from orchestrator.reports.timeline.timeline import timeline_of
from orchestrator.testing import Gate, Reply, TeamScript, call, say
from tests.support.simulated_runs import BEGAN, SimulatedRun, simulated_runs
from tests.support.teams import open_team, step, writer

_SLACK = 0.06


def drawn(task: TaskHistory, now: datetime | None = None, *, is_running: bool = False) -> Timeline:
    return timeline_of(task, now or task.ended or BEGAN, is_running=is_running)


def row(timeline: Timeline, name: str) -> Row:
    return next(each for each in timeline.rows if each.id == name)


def waits(timeline: Timeline, name: str, kind: str) -> list[Bar]:
    return [bar for bar in row(timeline, name).bars if bar.kind == kind]


@given(simulated_runs())
def test_bars_of_a_lane_never_overlap(task: TaskHistory) -> None:
    for each in drawn(task).rows:
        for lane in range(each.lanes):
            bars = [bar for bar in each.bars if bar.kind != "attempt" and bar.lane == lane]
            assert all(before.ended <= after.began + 1e-6 for before, after in pairwise(bars))


@given(simulated_runs())
def test_waits_end_before_the_work_begins(task: TaskHistory) -> None:
    for each in drawn(task).rows:
        work = [bar.began for bar in each.bars if not bar.is_wait]
        assert all(bar.ended <= min(work) + 1e-6 for bar in each.bars if bar.kind in ("dependency", "slot"))


@given(simulated_runs())
def test_the_critical_path_is_a_chain_to_the_end(task: TaskHistory) -> None:
    timeline = drawn(task)
    links = timeline.path
    assert links[0].row == ":plan"
    assert links[-1].row == ":answer"
    assert links[-1].ended == pytest.approx(timeline.end)
    # Nothing else was waited for: each part begins when the one before has ended.
    assert all(abs(before.ended - after.began) <= _SLACK for before, after in pairwise(links))
    needs = {spec["id"]: spec["depends_on"] for spec in task.sub_tasks}
    ends = {each.id: max(bar.ended for bar in each.bars) for each in timeline.rows}
    for before, after in pairwise(links[1:-1]):
        if before.row in needs[after.row]:
            assert ends[before.row] == pytest.approx(max(ends[name] for name in needs[after.row]))
        else:
            assert waits(timeline, after.row, "slot"), "work without a dependency in the chain had no slot"


@given(simulated_runs())
def test_bars_of_the_critical_path_are_marked_and_no_others(task: TaskHistory) -> None:
    timeline = drawn(task)
    on_path = {link.row for link in timeline.path}
    assert {each.id for each in timeline.rows if any(bar.is_critical for bar in each.bars)} == on_path


def test_a_wait_names_the_last_of_its_dependencies() -> None:
    task = SimulatedRun([[], [], [], [0, 1, 2]], [[1, 1, 1], [5, 1, 1], [2, 1, 1], [1, 1, 1]], 4).run()
    [wait] = waits(drawn(task), "t3", "dependency")
    assert wait.label == "waited for t1, the last of t0 t2 t1"


def test_while_it_waits_only_what_is_not_done_is_named() -> None:
    task = SimulatedRun([[], [], [0, 1]], [[1, 1, 1], [5, 1, 1], [1, 1, 1]], 4).run(until=6)
    timeline = drawn(task, BEGAN + timedelta(seconds=6), is_running=True)
    [wait] = waits(timeline, "t2", "dependency")
    assert (wait.label, wait.state, wait.ended) == ("waits for t1, the last of t0 t1", "running", 6)


def test_without_a_slot_it_says_so() -> None:
    task = SimulatedRun([[], []], [[1, 1, 1], [1, 1, 1]], 1).run()
    assert [bar.label for bar in waits(drawn(task), "t1", "slot")] == ["no slot free"]
    assert [link.row for link in drawn(task).path] == [":plan", "t0", "t1", ":answer"]


def test_what_goes_on_grows_to_now() -> None:
    task = SimulatedRun([[]], [[10, 1, 1]], 1).run(until=3)
    for seconds in (4, 7):
        timeline = drawn(task, BEGAN + timedelta(seconds=seconds), is_running=True)
        [model] = waits(timeline, "t0", "model")
        assert (model.state, model.ended, timeline.end) == ("running", seconds, seconds)


def test_what_a_kill_cut_off_ends_with_its_process() -> None:
    task = SimulatedRun([[]], [[10, 1, 1]], 1).run(until=3)
    timeline = drawn(task, BEGAN + timedelta(hours=5))
    [model] = waits(timeline, "t0", "model")
    assert model.state == "cut_off"
    assert model.ended <= timeline.end < 3
    assert row(timeline, "t0").status == "interrupted"


def test_the_time_without_a_process_is_a_gap(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        (review,) = team.run("one", thread_id="t").reviews
        paused = histories(team.journal("t"))[-1]
        timeline = drawn(paused, paused.stretches[-1].end + timedelta(days=3))
        assert [gap.why for gap in timeline.gaps] == ["not running for 72 h 0 min: a human was asked"]
        [asked] = waits(timeline, ":plan", "human")
        assert asked.label == "asks you: Shall this plan be carried out?"
        assert asked.ended == timeline.end
        team.decide(review, "approve")
        team.resume("t")
        resumed = drawn(histories(team.journal("t"))[-1])
    [asked] = waits(resumed, ":plan", "human")
    assert asked.label.startswith("asked ")
    assert asked.label.endswith(": Shall this plan be carried out?")
    assert not resumed.is_open


def test_a_question_about_a_tool_call_is_told_in_a_few_words(tmp_path: Path) -> None:
    def decide(review: Review) -> Decision:
        return Decision(review_id=review.id, action="approve", by="mira")

    script = TeamScript([step("a", agent="tooled")], results={"a": [call("write", text="x"), say("y")]})
    with open_team(script, tmp_path / "x.db", writer([])) as team:
        team.run("one", thread_id="t", on_review=decide)
        timeline = drawn(histories(team.journal("t"))[-1])
    assert [bar.label for bar in waits(timeline, "a", "human")] == ["asked mira: run write?"]
    assert [bar.label for bar in waits(timeline, "a", "tool")] == ["write"]


def test_attempts_stand_in_one_row_and_the_one_that_does_not_count_is_void(tmp_path: Path) -> None:
    back = {"reason": "count again", "verdict": "changes_requested", "sub_task_id": "a"}
    verdicts = {"b": [back, {"reason": "good", "verdict": "accept", "sub_task_id": ""}]}
    plan = [step("a"), step("b", "a", agent="reviewer")]
    with open_team(TeamScript(plan, results={"a": "1", ("a", 2): "2"}, verdicts=verdicts), tmp_path / "x.db") as team:
        team.run("one", thread_id="t", auto_approve=True)
        timeline = drawn(histories(team.journal("t"))[-1])
    worked = row(timeline, "a")
    assert [bar.is_void for bar in worked.bars if bar.kind == "model"] == [True, False]
    assert [number for _, number in worked.attempts] == [2]
    assert [link.row for link in timeline.path] == [":plan", "a", "b", "a", "b", ":answer"]


def test_failures_and_the_wait_before_the_next_try_are_seen() -> None:
    run = SimulatedRun([[]], [[1, 1, 1]], 1)
    original = run.request

    def request(at: float, took: float, sub_task: str, call: str, **end: Any) -> float:
        if call == "plan":
            at = original(at, 1, sub_task, "failed", error="429", error_type="RateLimitError") + 4
        return original(at, took, sub_task, call, **end)

    run.request = request  # type: ignore[method-assign]
    bars = row(drawn(run.run()), ":plan").bars
    assert [(bar.kind, bar.state) for bar in bars] == [("model", "failed"), ("retry", ""), ("model", "")]
    assert bars[1].label == "tries again after RateLimitError"
    assert bars[1].seconds == pytest.approx(4)


def test_a_live_run_shows_what_works_now(tmp_path: Path) -> None:
    gate = Gate()
    results = {"a": Reply(text="late").behind(gate)}
    with open_team(TeamScript([step("a"), step("b", "a")], results=results), tmp_path / "x.db") as team:
        seen: list[TaskHistory] = []

        def look() -> None:
            gate.entered.wait(20)
            team.steer("t", "go on")  # writes what was only noted
            seen.append(histories(team.journal("t"))[-1])
            gate.release()

        in_background(look, lambda: team.run("one", thread_id="t", auto_approve=True))
    timeline = drawn(seen[0], seen[0].began + timedelta(seconds=60), is_running=True)
    [model] = waits(timeline, "a", "model")
    assert (model.state, model.ended) == ("running", 60)
    assert row(timeline, "a").status == "running"
    assert [bar.label for bar in waits(timeline, "b", "dependency")] == ["waits for a"]


def in_background(look: Callable[[], None], run: Callable[[], object]) -> None:
    import threading

    thread = threading.Thread(target=look)
    thread.start()
    run()
    thread.join(30)


def test_limits_of_workers_side_by_side_are_seen_as_waits_for_a_slot(tmp_path: Path) -> None:
    plan = [step(name) for name in "abc"]
    with open_team(TeamScript(plan), tmp_path / "x.db", limits=Limits(parallel_workers=1)) as team:
        team.run("one", thread_id="t", auto_approve=True)
        timeline = drawn(histories(team.journal("t"))[-1])
    on_path = [link.row for link in timeline.path]
    assert sorted(on_path[1:-1]) == ["a", "b", "c"], "each of them held the others up"


def test_waits_for_a_rate_limit_are_seen_of_workers_and_of_the_supervisor() -> None:
    run = SimulatedRun([[]], [[1, 1, 1]], 1)
    run.tell(1.15, "sub_task_waits", "t0", reason="rate", names=["m"], seconds=2)
    task = run.run()
    task.supervisor[-1].waited = {"rate": 0.5}
    timeline = drawn(task)
    assert [bar.label for bar in waits(timeline, "t0", "rate")] == ["rate limit"]
    [rate] = waits(timeline, ":answer", "rate")
    assert rate.seconds == pytest.approx(0.5)


def test_a_budget_that_is_raised_meanwhile_is_no_process_at_work() -> None:
    told = [("run_began", 0), ("run_paused", 1), ("budget_set", 100), ("run_resumed", 200), ("run_ended", 201)]
    records = [
        JournalRecord(seq, BEGAN + timedelta(seconds=at), "t", kind, data={"task": "x", "status": "waiting"})
        for seq, (kind, at) in enumerate(told, 1)
    ]
    assert [(gap.began, gap.ended) for gap in drawn(histories(records)[-1]).gaps] == [(1, 200)]
