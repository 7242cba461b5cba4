"""`on_review` is asked while the run goes on, one question at a time, and no question outlives its review."""

import asyncio
import logging
import threading
from pathlib import Path

import pytest

from orchestrator import Decision, Review, TaskOrchestrator
from orchestrator.errors import CallbackError, DecisionError
from orchestrator.events import Event, SubTaskChanged
from orchestrator.testing import Gate, TeamScript, say
from tests.support.running import LIMIT_S, Running, planned
from tests.support.teams import model_of, open_team, step, worked

PLAN = planned(step("a", approval=True), step("slow"), step("x", "a"))


def approve(review: Review) -> Decision:
    return Decision(review_id=review.id, action="approve")


def team_with(gate: Gate, folder: Path) -> TaskOrchestrator:
    """Open a team whose sub-task `slow` is held back by a gate."""
    return open_team(TeamScript([], results={"slow": say("s").behind(gate)}), folder / "x.db")


class Person:
    """Thinks until the test lets the person answer."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.entered = threading.Event()
        self.may_answer = threading.Event()
        self.answered = threading.Event()

    def __call__(self, review: Review) -> Decision:
        self.asked.append(review.sub_task_id)
        self.entered.set()
        assert self.may_answer.wait(LIMIT_S)
        self.answered.set()
        return Decision(review_id=review.id, action="reject", text="no")


class Informed(Person):
    """Gives a question up when it is answered elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, str]] = []

    def answered_elsewhere(self, review: Review, decision: Decision) -> None:
        self.told.append((review.sub_task_id, decision.action))
        self.may_answer.set()


def test_a_person_is_asked_while_another_branch_runs_and_the_branch_goes_on_at_once(tmp_path: Path) -> None:
    gate = Gate()
    with team_with(gate, tmp_path) as team:
        running = Running(team.run, "go", plan=PLAN, thread_id="t", on_review=approve)
        running.seen.until_status("x", "succeeded")
        assert not running.seen.has_status("slow", "succeeded")
        gate.release()
        assert running.result().status == "done"


def test_an_overridden_request_human_review_is_asked_early_too(tmp_path: Path) -> None:
    gate = Gate()
    with team_with(gate, tmp_path) as team:
        team.request_human_review = lambda sub_task, result, review=None: approve(review)  # type: ignore[method-assign]
        running = Running(team.run, "go", plan=PLAN, thread_id="t")
        running.seen.until_status("x", "succeeded")
        gate.release()
        assert running.result().status == "done"


@pytest.mark.parametrize("is_paused", [False, True])
def test_a_run_goes_on_without_the_person_when_somebody_else_answers(
    tmp_path: Path, is_paused: bool, caplog: pytest.LogCaptureFixture
) -> None:
    gate, person = Gate(), Person()
    caplog.set_level(logging.INFO, "orchestrator")
    with team_with(gate, tmp_path) as team, open_team(TeamScript([]), tmp_path / "x.db") as other:
        running = Running(team.run, "go", plan=PLAN, thread_id="t", on_review=person)
        review = running.seen.until_asked("a")
        assert person.entered.wait(LIMIT_S)
        if is_paused:
            gate.release()
            running.seen.until_status("slow", "succeeded")
        other.decide(review, "approve")
        running.seen.until_status("x", "succeeded")
        gate.release()
        assert running.result().status == "done"
        assert not person.answered.is_set()
        person.may_answer.set()
        assert person.answered.wait(LIMIT_S)
        assert person.asked == ["a"]
        team.show("t")  # the loop has heard of the late answer before it answers this
    assert "is ignored: it was answered elsewhere" in caplog.text


def test_a_person_who_can_be_told_is_told_who_answered(tmp_path: Path) -> None:
    gate, person = Gate(), Informed()
    with team_with(gate, tmp_path) as team:
        running = Running(team.run, "go", plan=PLAN, thread_id="t", on_review=person)
        review = running.seen.until_asked("a")
        assert person.entered.wait(LIMIT_S)
        team.decide(review, "approve")
        running.seen.until_status("x", "succeeded")
        gate.release()
        assert running.result().status == "done"
        assert person.told == [("a", "approve")]


def test_of_several_reviews_one_is_asked_at_a_time_and_what_is_left_open_is_not_asked_again_at_once(
    tmp_path: Path,
) -> None:
    gate, asked = Gate(), []
    busy = threading.Lock()
    plan = planned(step("a", approval=True), step("b", approval=True), step("slow"))

    def ask(review: Review) -> Decision | None:
        assert busy.acquire(blocking=False), "two questions at a time"
        try:
            asked.append(review.sub_task_id)
            return approve(review) if review.sub_task_id == "b" else None
        finally:
            busy.release()

    with open_team(TeamScript([], results={"slow": say("s").behind(gate)}), tmp_path / "x.db") as team:
        running = Running(team.run, "go", plan=plan, thread_id="t", on_review=ask)
        running.seen.until_status("b", "succeeded")
        gate.release()
        run = running.result()
        assert (run.status, [review.sub_task_id for review in run.reviews]) == ("waiting", ["a"])
        assert sorted(asked) == ["a", "b"]
        assert team.resume("t", on_review=approve).status == "done"


@pytest.mark.parametrize("error", [SystemExit(3), ValueError("wrong")], ids=repr)
def test_an_error_of_the_person_ends_no_branch_and_is_raised_when_the_run_pauses(
    tmp_path: Path, error: BaseException
) -> None:
    gate, failed = Gate(), threading.Event()

    def ask(_: Review) -> Decision:
        failed.set()
        raise error

    with team_with(gate, tmp_path) as team:
        running = Running(team.run, "go", plan=PLAN, thread_id="t", on_review=ask)
        assert failed.wait(LIMIT_S)
        gate.release()
        with pytest.raises((CallbackError, ValueError)):
            running.result()
        assert running.seen.has_status("slow", "succeeded")
        assert team.resume("t", on_review=approve).status == "done"


def test_an_answer_that_does_not_fit_is_an_error(tmp_path: Path) -> None:
    gate = Gate()
    gate.release()
    with team_with(gate, tmp_path) as team, pytest.raises(DecisionError, match="names review"):
        team.run("go", plan=PLAN, on_review=lambda _: Decision(review_id="t/other", action="approve"))


async def test_a_coroutine_function_is_awaited_while_other_branches_run(tmp_path: Path) -> None:
    gate = Gate()

    async def ask(review: Review) -> Decision:
        await asyncio.sleep(0)
        return approve(review)

    def hear(event: Event) -> None:
        if isinstance(event, SubTaskChanged) and (event.id, event.status) == ("x", "succeeded"):
            gate.release()

    with team_with(gate, tmp_path) as team:
        run = await asyncio.wait_for(team.arun("go", plan=PLAN, on_review=ask, on_event=hear), LIMIT_S)
        assert run.status == "done"


async def test_a_coroutine_function_that_waits_is_cancelled_when_somebody_else_answers(tmp_path: Path) -> None:
    gate, asked, cancelled = Gate(), asyncio.Event(), asyncio.Event()

    async def ask(_: Review) -> Decision | None:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return None

    gate.release()
    with team_with(gate, tmp_path) as team:
        running = asyncio.ensure_future(team.arun("go", plan=PLAN, thread_id="t", on_review=ask))
        await asyncio.wait_for(asked.wait(), LIMIT_S)
        [review] = await team.areviews("t")
        await team.adecide(review, "approve")
        assert (await asyncio.wait_for(running, LIMIT_S)).status == "done"
        assert cancelled.is_set()
        assert sorted(worked(model_of(team))) == ["a", "slow", "x"]
