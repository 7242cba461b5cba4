"""A history tells of each sub-task what it was told, what its tools answered, why it came back and what it cost."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestrator import Decision, JournalRecord, Review, TaskOrchestrator
from orchestrator.reports.history.reading import histories
from orchestrator.reports.history.task import AttemptHistory, TaskHistory
from orchestrator.testing import TeamScript, call, say
from tests.support.teams import open_team, step, writer


def history_of(team: TaskOrchestrator, thread: str = "t") -> TaskHistory:
    return histories(team.journal(thread))[-1]


def approve(review: Review) -> Decision:
    return Decision(review_id=review.id, action="approve")


@pytest.fixture
def reworked(tmp_path: Path) -> TaskHistory:
    """A sub-task with a tool whose first result a reviewer sends back."""
    back = {"reason": "count the rivers too", "verdict": "changes_requested", "sub_task_id": "a"}
    verdicts = {"c": [back, {"reason": "good", "verdict": "accept", "sub_task_id": ""}]}
    results: dict[Any, Any] = {"a": [call("write", text="lakes"), say("3 lakes")], ("a", 2): "3 lakes, 2 rivers"}
    plan = [step("a", agent="tooled"), step("b", "a"), step("c", "a", agent="reviewer")]
    effects: list[str] = []
    script = TeamScript(plan, results=results, verdicts=verdicts)
    with open_team(script, tmp_path / "x.db", writer(effects)) as team:
        assert team.run("count the waters", thread_id="t", on_review=approve).status == "done"
        return history_of(team)


def first(task: TaskHistory, sub_task: str) -> AttemptHistory:
    return task.attempts_at(sub_task)[0]


def test_an_attempt_knows_what_it_was_told_and_what_its_tools_answered(reworked: TaskHistory) -> None:
    attempt = first(reworked, "a")
    assert "count the waters" in attempt.message
    assert attempt.prompt == "You use tools."
    assert [(use.tool, use.args, use.answer) for use in attempt.tool_uses] == [
        ("write", {"text": "lakes"}, "wrote lakes")
    ]
    assert [use.calls[0]["name"] if use.calls else use.text for use in attempt.models] == ["write", "3 lakes"]
    assert (attempt.status, attempt.text) == ("succeeded", "3 lakes")


def test_what_is_sent_back_says_why_and_what_was_done_again(reworked: TaskHistory) -> None:
    before, after = reworked.attempts_at("a")
    assert before.sent_back == "count the rivers too"
    assert before.is_retracted
    assert not after.is_retracted
    assert (after.attempt, after.text) == (2, "3 lakes, 2 rivers")
    assert "count the rivers too" in after.message
    assert len(reworked.attempts_at("b")) == 2, "b rests on the result of a"


def test_the_costs_of_the_attempts_add_up(reworked: TaskHistory, tmp_path: Path) -> None:
    parts = [attempt.spent.tokens for attempt in reworked.attempts]
    assert all(parts)
    assert reworked.spent.tokens == sum(parts) + sum(use.spent.tokens for use in reworked.supervisor)


def test_a_wait_has_a_reason_and_an_end(reworked: TaskHistory) -> None:
    wait = first(reworked, "b").waits[0]
    assert (wait.reason, wait.names) == ("dependency", ["a"])
    assert wait.ended is not None
    human = next(wait for wait in first(reworked, "a").waits if wait.reason == "human")
    assert human.names == [first(reworked, "a").reviews[0].review["id"]]


def test_questions_have_their_answers(reworked: TaskHistory) -> None:
    assert [(asked.review["kind"], asked.decision["action"]) for asked in reworked.reviews] == [
        ("plan", "approve"),
        ("tool", "approve"),
    ]
    assert all(asked.by and asked.answered is not None and asked.answered >= asked.asked for asked in reworked.reviews)


def test_the_task_has_its_plan_its_answer_and_its_end(reworked: TaskHistory) -> None:
    assert (reworked.task, reworked.number, reworked.status) == ("count the waters", 1, "done")
    assert reworked.answer == "the answer"
    assert [sub_task["id"] for sub_task in reworked.plans[0][1]["sub_tasks"]] == ["a", "b", "c"]
    assert reworked.ended is not None


def test_a_thread_with_two_tasks_has_two_histories(tmp_path: Path) -> None:
    with open_team(TeamScript([[step("a")], [step("b")]]), tmp_path / "x.db") as team:
        team.run("one", thread_id="t", auto_approve=True)
        team.run("two", thread_id="t", auto_approve=True)
        first_task, second_task = histories(team.journal("t"))
    assert [(task.task, task.number, task.status) for task in (first_task, second_task)] == [
        ("one", 1, "done"),
        ("two", 2, "done"),
    ]
    assert [attempt.sub_task for attempt in second_task.attempts] == ["b"]


def test_a_run_that_waits_says_for_what(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        (review,) = team.run("one", thread_id="t").reviews
        task = history_of(team)
    assert task.status == "waiting"
    assert [asked.review["id"] for asked in task.reviews if asked.answered is None] == [review.id]


def test_records_of_a_newer_version_are_passed_over(reworked: TaskHistory) -> None:
    known = JournalRecord(1, reworked.began, "t", "run_began", data={"task": "x", "from_2030": 1})
    unknown = JournalRecord(2, reworked.began, "t", "teleported", data={"to": "Mars"})
    assert histories([unknown, known, unknown])[0].task == "x"


def test_work_on_a_result_that_is_sent_back_meanwhile_is_an_attempt_of_its_own() -> None:
    def record(seq: int, kind: str, sub_task: str = "", **data: Any) -> JournalRecord:
        return JournalRecord(seq, datetime(2026, 1, 1, 12, 0, seq, tzinfo=UTC), "t", kind, sub_task, 1, data=data)

    drafts = [record(2, "sub_task_started", "b", message="old"), record(3, "result_drafted", "b", text="a draft")]
    back = record(4, "sub_task_sent_back", "a", feedback="more", again=["a", "b"])
    late = record(5, "model_answered", "b", call="1")
    again = record(6, "sub_task_started", "b", message="new")
    (task,) = histories([record(1, "run_began", task="x"), *drafts, back, late, again])
    before, after = task.attempts_at("b")
    assert (before.message, before.status, before.text, before.is_retracted) == ("old", "retracted", "a draft", True)
    assert (after.message, after.status) == ("new", "running")
