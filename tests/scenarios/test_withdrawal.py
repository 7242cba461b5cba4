"""Results are withdrawn when another plan is taken, not when it is proposed; what failed is never just read again."""

import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from langgraph.store.base import BaseStore, Op, PutOp, Result

import orchestrator.memory.recall
from orchestrator import Budget, Decision, Review, Run, TaskOrchestrator
from orchestrator.events import Planned
from orchestrator.graph.build import compile_graph
from orchestrator.testing import TeamScript, fail, run_until_killed
from tests.support.teams import make_team, model_of, open_team, statuses, step, worked

KILLED = -signal.SIGKILL
PLAN = [step("t1"), step("t2", "t1")]
OTHER = [step("x"), step("y", "x")]
BROKEN: Any = {("t2", 1): fail(RuntimeError("broken"))}
AGAIN: Any = {("t1", 2): "t1 once more", **BROKEN}

pytestmark = pytest.mark.timeout(120)  # what goes wrong here waits for ever


def revise(*changes: dict[str, Any], decision: str = "revise") -> dict[str, Any]:
    return {"reason": "", "decision": decision, "changes": list(changes)}


def change(action: str, task_id: str, **more: Any) -> dict[str, Any]:
    return {"action": action, "sub_task_id": task_id, "text": "in another way", **more}


# Needs approval, since another agent is to do t1.
REASSIGN = revise(change("reassign", "t1", target_agent="tooled"), change("retry", "t2"))
RETRY_BOTH = revise(change("retry", "t1"), change("retry", "t2"))
RETRY_T2 = revise(change("retry", "t2"))
FINISH = revise(decision="finish")


def script(*plans: Any, revisions: Any = (REASSIGN,), results: Any = BROKEN) -> TeamScript:
    return TeamScript(list(plans or [PLAN]), results=results, revisions=revisions)


def decide(team: TaskOrchestrator, action: Any = "approve", text: str = "", data: Any = None) -> Run:
    """Answers the one open review."""
    (review,) = team.reviews("t")
    team.decide(review.id, action, text, data)
    return team.resume("t")


def stuck(team: TaskOrchestrator) -> Run:
    """t1 has succeeded, t2 has failed, and a revision that would do t1 again elsewhere waits for approval."""
    team.run("task", thread_id="t")
    run = decide(team)
    assert [review.kind for review in run.reviews] == ["plan"]
    return run


def remembered(team: TaskOrchestrator) -> list[str]:
    return [entry.text for entry in team.memory_of("t").all()]


def test_nothing_is_withdrawn_for_a_plan_that_is_only_proposed(tmp_path: Path) -> None:
    with open_team(script(), tmp_path / "x.db") as team:
        stuck(team)
        assert remembered(team) == ["result of t1"]
        assert decide(team, "stop").status == "stopped"
        assert remembered(team) == ["result of t1"]


def test_what_an_approved_revision_replaces_is_withdrawn_and_done_anew(tmp_path: Path) -> None:
    with open_team(script(results={**BROKEN, ("t1", 2): "t1 done elsewhere"}), tmp_path / "x.db") as team:
        old = stuck(team).plan
        assert decide(team).status == "done"
        assert remembered(team) == ["t1 done elsewhere", "result of t2"]
        assert worked(model_of(team)) == ["t1", "t2", "t1", "t2"]
        assert old is not None
        assert "result of t1" not in model_of(team).requests[-1].last_user


def test_a_result_that_an_edited_revision_keeps_after_all_is_built_on(tmp_path: Path) -> None:
    with open_team(script(), tmp_path / "x.db") as team:
        (review,) = stuck(team).reviews
        kept = [PLAN[0], *(row for row in review.subject["plan"] if row["id"] == "t2")]
        assert decide(team, "edit", data=kept).status == "done"
        assert worked(model_of(team)) == ["t1", "t2", "t2"]
        assert remembered(team) == ["result of t1", "result of t2"]


def test_what_failed_is_really_done_again_when_a_human_puts_its_first_row_back(tmp_path: Path) -> None:
    with open_team(script(), tmp_path / "x.db") as team:
        stuck(team)
        run = decide(team, "edit", data=PLAN)
        assert run.status == "done"
        assert run.outcomes["t2"].attempt == 2
        assert worked(model_of(team)) == ["t1", "t2", "t2"]


def test_what_failed_more_than_once_is_done_again_as_an_attempt_that_nobody_has_made(tmp_path: Path) -> None:
    told = "The attempt before failed: RuntimeError: broken"  # as the engine would tell it
    retry, broken = revise(change("retry", "t2") | {"text": told}), fail(RuntimeError("broken"))
    results: Any = {("t2", 1): broken, ("t2", 2): broken}
    with open_team(script(revisions=[retry, REASSIGN], results=results), tmp_path / "x.db") as team:
        stuck(team)
        run = decide(team, "edit", data=PLAN)
        assert run.status == "done"
        assert run.outcomes["t2"].attempt == 3
        assert worked(model_of(team)) == ["t1", "t2", "t2", "t2"]


def test_what_failed_is_really_done_again_when_the_planner_gives_the_same_plan_again(tmp_path: Path) -> None:
    with open_team(script(PLAN, PLAN), tmp_path / "x.db") as team:
        stuck(team)
        decide(team, "reject", "leave t1 where it is")
        assert decide(team).status == "done"
        assert worked(model_of(team)) == ["t1", "t2", "t2"]


def test_what_a_revision_drops_and_a_later_one_adds_again_is_really_done_again(tmp_path: Path) -> None:
    drop = revise(change("drop", "t2"))
    add = revise({"action": "add", "sub_task_id": "t2", "text": "do t2", "target_agent": "worker"}, change("drop", "n"))
    plan, broken = [step("t1"), step("t2"), step("n")], fail(RuntimeError("broken"))
    results = {("t2", 1): broken, "n": broken}
    with open_team(script(plan, revisions=[drop, add], results=results), tmp_path / "x.db") as team:
        run = team.run("task", auto_approve=True)
        assert statuses(run.outcomes) == {"t1": "succeeded", "t2": "succeeded"}
        assert worked(model_of(team)).count("t2") == 2


def test_a_failure_that_the_supervisor_leaves_as_it_is_costs_nothing_more(tmp_path: Path) -> None:
    broken = fail(RuntimeError("broken"))
    plan = [step("a"), step("b")]
    revisions = [revise(change("retry", "a")), FINISH]
    with open_team(script(plan, revisions=revisions, results={("a", 1): broken, "b": broken}), tmp_path / "x") as team:
        run = team.run("task", auto_approve=True)
        assert statuses(run.outcomes) == {"a": "succeeded", "b": "failed"}
        assert sorted(worked(model_of(team))) == ["a", "a", "b"]


def test_after_a_rejection_the_results_of_the_old_plan_are_shown_to_nobody(tmp_path: Path) -> None:
    with open_team(script(PLAN, OTHER), tmp_path / "x.db") as team:
        stuck(team)
        decide(team, "reject", "do something else")
        assert remembered(team) == ["result of t1"], "the new plan is not approved yet"
        assert decide(team).status == "done"
        assert remembered(team) == ["result of x", "result of y"]
        assert not any("result of t1" in request.text for request in model_of(team).requests if "of x" in request.text)


def test_what_was_withdrawn_comes_back_when_a_later_plan_has_it_again(tmp_path: Path) -> None:
    drop = revise(change("drop", "b"), change("drop", "a"))
    add = revise({"action": "add", "sub_task_id": "z", "text": "do z", "target_agent": "worker"})
    broken = fail(RuntimeError("broken"))
    plan = [step("a"), step("b"), step("c")]
    results = {"b": broken, ("c", 1): broken}
    with open_team(script(plan, revisions=[drop, add], results=results), tmp_path / "x.db") as team:
        team.run("task", thread_id="t")
        decide(team)
        assert remembered(team) == [], "a was dropped"
        run = decide(team, "edit", data=[step("a"), step("c")])
        assert run.status == "done"
        assert remembered(team) == ["result of a", "result of c"]
        assert worked(model_of(team)).count("a") == 1


def test_a_run_whose_revisions_were_all_rejected_ends_with_what_there_is(tmp_path: Path) -> None:
    with open_team(script(PLAN, OTHER, OTHER, OTHER, OTHER), tmp_path / "x.db") as team:
        run = stuck(team)
        while run.status == "waiting":
            run = decide(team, "reject", "not that")
        assert run.status == "limited"
        assert [each.sub_task_id for each in run.references] == ["t1"]
        assert statuses(run.outcomes) == {"t1": "succeeded", "t2": "failed"}
        assert any("rejected" in error for error in run.errors)


def test_a_revision_at_which_a_human_stops_leaves_the_plan_that_was_carried_out(tmp_path: Path) -> None:
    with open_team(script(), tmp_path / "x.db") as team:
        stuck(team)
        run = decide(team, "stop")
        assert (run.status, statuses(run.outcomes)) == ("stopped", {"t1": "succeeded", "t2": "failed"})


def test_once_a_revision_is_approved_it_is_the_plan_that_was_carried_out(tmp_path: Path) -> None:
    results: Any = {("t2", 1): fail(RuntimeError("broken")), ("t2", 2): fail(RuntimeError("broken"))}
    with open_team(script(revisions=[REASSIGN, REASSIGN], results=results), tmp_path / "x.db") as team:
        stuck(team)
        assert [review.kind for review in decide(team).reviews] == ["plan"]
        run = decide(team, "stop")
        assert run.plan is not None
        assert {task.id: (task.target_agent, task.attempt) for task in run.plan.sub_tasks} == {
            "t1": ("tooled", 2),
            "t2": ("worker", 2),
        }


def test_what_was_withdrawn_is_still_counted_in_the_state() -> None:
    team = make_team(script(revisions=[RETRY_BOTH], results=AGAIN))
    state = compile_graph(team).invoke({"task": "task", "auto_approve": True})
    assert state["usage"]["model_calls"] == len(team.supervisor.model.requests)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("data", "told"), [(None, [["t1", "t2"]]), (OTHER, [["t1", "t2"], ["x", "y"]])], ids=["approved", "edited"]
)
def test_an_edited_plan_is_told_to_whoever_watches(tmp_path: Path, data: Any, told: list[list[str]]) -> None:
    def answer(review: Review) -> Decision:
        return Decision(review_id=review.id, action="edit" if data else "approve", data=data)

    events: list[Any] = []
    with open_team(script(results=None), tmp_path / "x.db") as team:
        team.run("task", on_event=events.append, on_review=answer)
    assert [list(event.plan.by_id) for event in events if isinstance(event, Planned)] == told


def test_a_budget_that_does_not_suffice_to_plan_again_costs_no_result(tmp_path: Path) -> None:
    # The plan, t1, t2 and the revision leave nothing but the answer, which is kept back.
    with open_team(script(PLAN, OTHER), tmp_path / "x.db") as team:
        team.run("task", thread_id="t", budget=Budget(model_calls=5, summary=0.2))
        assert [review.kind for review in decide(team).reviews] == ["plan"]
        run = decide(team, "reject", "do something else")
        assert [review.kind for review in run.reviews] == ["steer"]
        run = decide(team)
        assert (run.status, run.limited_by) == ("limited", "budget")
        assert [each.sub_task_id for each in run.references] == ["t1"]
        assert statuses(run.outcomes) == {"t1": "succeeded", "t2": "failed"}


# -- kill -9 while results are being withdrawn -----------------------------------------------------------------------


class KilledAtWithdrawal(BaseStore):
    """A store that dies at the write that withdraws a result: before it, or right after."""

    def __init__(self, inner: BaseStore, *, before: bool) -> None:
        self._inner = inner
        self._before = before

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        raise AssertionError("the engine is on an event loop")

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        listed = list(ops)
        puts = [op.value for op in listed if isinstance(op, PutOp) and op.value is not None]
        withdraws = any(value.get("status") == "retracted" for value in puts)
        if withdraws and self._before:
            os.kill(os.getpid(), signal.SIGKILL)
        found = await self._inner.abatch(listed)
        if withdraws:
            os.kill(os.getpid(), signal.SIGKILL)
        return found


def until_killed(folder: Path, before: bool, revision: Any, edited: Any) -> None:
    """Runs until results are withdrawn: because of this revision, or because of what a human makes of it."""
    orchestrator.memory.recall.has_embedder = lambda: False  # as in the other tests
    with open_team(script(revisions=[revision]), folder / "x.db") as team:
        store = KilledAtWithdrawal(team.persistence.store, before=before)
        team.graph = compile_graph(team.team, checkpointer=team.persistence.checkpointer, store=store)
        team.run("task", thread_id="t")
        decide(team)
        decide(team, "edit", data=edited)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize(
    ("now", "status", "left"),
    [
        (RETRY_T2, "done", ["result of t1", "result of t2"]),
        (RETRY_BOTH, "done", ["t1 once more", "result of t2"]),
        (FINISH, "failed", ["result of t1"]),
    ],
    ids=["keeps it", "withdraws it again", "finishes"],
)
def test_a_supervisor_that_was_killed_and_now_decides_this_comes_out_right(
    tmp_path: Path, before: bool, now: Any, status: str, left: list[str]
) -> None:
    assert run_until_killed(until_killed, tmp_path, before, RETRY_BOTH, None) == KILLED
    with open_team(script(revisions=[now], results=AGAIN), tmp_path / "x.db") as team:
        run = team.resume("t")
        assert run.status == status
        assert [each.sub_task_id for each in run.references] == (["t1"] if now is FINISH else ["t1", "t2"])
        assert remembered(team) == left


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_an_edited_plan_is_carried_out_though_it_was_killed_while_taking_it(tmp_path: Path, before: bool) -> None:
    edited = [step("x"), step("t2", "x")]
    assert run_until_killed(until_killed, tmp_path, before, REASSIGN, edited) == KILLED
    with open_team(script(results=None), tmp_path / "x.db") as team:
        run = team.resume("t")
        assert (run.status, statuses(run.outcomes)) == ("done", {"x": "succeeded", "t2": "succeeded"})
        assert remembered(team) == ["result of x", "result of t2"]
