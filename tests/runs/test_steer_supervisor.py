"""Instructions that come when all work is done or under way: the supervisor is asked about them once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator import Limits, Run, TaskOrchestrator
from orchestrator.testing import Gate, Request, TeamScript, say
from tests.support.teams import open_team, retry, step, worked


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def _steered_in_the_last_round(one: TaskOrchestrator, gate: Gate, pool: ThreadPoolExecutor) -> Run:
    running = pool.submit(one.run, "go", thread_id="t", auto_approve=True)
    assert gate.entered.wait(10)
    one.steer("t", "add a table of prices")
    gate.release()
    return running.result(10)


def _revisions(one: TaskOrchestrator) -> list[Request]:
    return [r for r in one.supervisor.model.requests if r.title == "Revision"]  # type: ignore[attr-defined]


def test_the_supervisor_may_change_a_plan_in_which_nothing_failed(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    prices = {**retry("prices"), "action": "add", "text": "list the prices"}
    script = TeamScript(
        [step("a"), step("b", "a")],
        results={"b": say("result of b").behind(gate), ("a", 2): "a with prices"},
        revisions=[{"decision": "revise", "reason": "", "changes": [prices]}],
    )
    with open_team(script, tmp_path / "x.db") as one:
        run = _steered_in_the_last_round(one, gate, pool)
        assert run.status == "done"
        assert set(run.outcomes) == {"a", "b", "prices"}
        [revision] = _revisions(one)
        assert revision.text.count("add a table of prices") == 1
        assert worked(one.supervisor.model) == ["a", "b", "prices"], "what is done is not done again"


def test_the_supervisor_is_asked_once_for_each_instruction(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    first, second = Gate(), Gate()
    script = TeamScript(
        [step("a")],
        results={"a": say("result of a").behind(first), ("a", 2): say("another result").behind(second)},
        revisions=[{"decision": "revise", "reason": "", "changes": [retry("a")]}],
    )
    with open_team(script, tmp_path / "x.db") as one:
        running = pool.submit(one.run, "go", thread_id="t", auto_approve=True)
        assert first.entered.wait(10)
        one.steer("t", "add a table of prices")
        first.release()
        assert second.entered.wait(10)
        assert len(_revisions(one)) == 1
        second.release()
        assert running.result(10).status == "done"
        assert len(_revisions(one)) == 1
        assert one.show("t").outcomes["a"].attempt == 2


def test_a_plan_that_the_instruction_does_not_change_stands(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    with open_team(TeamScript([step("a")], results={"a": say("result of a").behind(gate)}), tmp_path / "x.db") as one:
        assert _steered_in_the_last_round(one, gate, pool).status == "done"
        assert len(_revisions(one)) == 1
        assert worked(one.supervisor.model) == ["a"]


def test_added_work_that_an_instruction_led_to_is_asked_about(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    prices = {**retry("prices"), "action": "add", "text": "list the prices"}
    revisions = [{"decision": "revise", "reason": "", "changes": [prices]}]
    script = TeamScript([], results={"a": say("result of a").behind(gate)}, revisions=revisions)
    with open_team(script, tmp_path / "x.db") as one:
        running = pool.submit(one.run, "go", thread_id="t", plan=[step("a")])
        assert gate.entered.wait(10)
        one.steer("t", "add a table of prices")
        gate.release()
        run = running.result(10)
        assert [review.kind for review in run.reviews] == ["plan"]
        one.decide(run.reviews[0], "approve")
        assert set(one.resume("t").outcomes) == {"a", "prices"}
        assert len(_revisions(one)) == 1


def test_without_a_change_of_the_plan_left_the_supervisor_is_not_asked(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    gate = Gate()
    script = TeamScript([step("a")], results={"a": say("result of a").behind(gate)})
    with open_team(script, tmp_path / "x.db", limits=Limits(revisions=0)) as one:
        assert _steered_in_the_last_round(one, gate, pool).status == "done"
        assert _revisions(one) == []
        answer = one.supervisor.model.requests[-1]  # type: ignore[attr-defined]
        assert "add a table of prices" in answer.text
