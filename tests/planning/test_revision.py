"""Revision: what the supervisor's changes do to a plan, and what is sent back without asking it."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator import Outcome, Plan, SubTask
from orchestrator.errors import PlanError
from orchestrator.planning.assessment import Assessment, assess
from orchestrator.planning.outcome import Verdict
from orchestrator.planning.revision import Revision
from orchestrator.testing import TeamScript, fail
from tests.support.teams import model_of, open_team, step

PLAN = Plan(
    sub_tasks=(
        SubTask(id="a", description="find", target_agent="researcher"),
        SubTask(id="b", description="count", target_agent="coder", depends_on=("a",)),
    )
)


def revise(*changes: dict[str, Any], attempts: int = 3) -> Plan:
    return Revision.parse({"decision": "revise", "changes": changes}).apply(PLAN, attempts=attempts)


def test_retry_gives_feedback_and_a_new_attempt() -> None:
    after = revise({"action": "retry", "sub_task_id": "a", "text": "look in the annex"})
    assert after.by_id["a"].attempt == 2
    assert after.by_id["a"].feedback == ("look in the annex",)


def test_reassign_moves_the_sub_task() -> None:
    after = revise({"action": "reassign", "sub_task_id": "b", "text": "by hand", "target_agent": "researcher"})
    assert after.by_id["b"].target_agent == "researcher"
    assert after.by_id["b"].attempt == 2


def test_add_and_drop_keep_the_plan_sound() -> None:
    after = revise(
        {"action": "drop", "sub_task_id": "a"},
        {"action": "add", "sub_task_id": "c", "text": "find elsewhere", "target_agent": "researcher"},
    )
    assert after.by_id.keys() == {"b", "c"}
    assert after.by_id["b"].depends_on == ()
    after.check(["researcher", "coder"])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"action": "retry", "sub_task_id": "z"}, "no sub-task 'z'"),
        ({"action": "add", "sub_task_id": "a", "text": "x", "target_agent": "coder"}, "'a' is taken"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(PlanError, match=problem):
        revise(change)


RETRY_A: dict[str, Any] = {"action": "retry", "sub_task_id": "a"}
DROP_A: dict[str, Any] = {"action": "drop", "sub_task_id": "a"}
ADD_C: dict[str, Any] = {"action": "add", "sub_task_id": "c", "text": "count", "target_agent": "coder"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ([DROP_A, RETRY_A], "'a' is dropped by a change before"),
        ([DROP_A, {**RETRY_A, "action": "reassign", "target_agent": "coder"}], "'a' is dropped by a change before"),
        ([DROP_A, DROP_A], "'a' is dropped by a change before"),
        ([DROP_A, {**ADD_C, "sub_task_id": "a"}], "'a' is taken"),  # b, which needed it, would not wait for it
        ([ADD_C, {**ADD_C, "text": "count again"}], "'c' is taken"),
        ([ADD_C, {"action": "retry", "sub_task_id": "c"}], "'c' is only just added"),
    ],
)
def test_changes_that_contradict_one_another_are_refused(changes: list[dict[str, Any]], problem: str) -> None:
    with pytest.raises(PlanError, match=problem):
        revise(*changes)


def test_a_supervisor_that_contradicts_itself_is_told_so_and_asked_again(tmp_path: Path) -> None:
    def revision(*changes: dict[str, Any]) -> dict[str, Any]:
        return {"reason": "", "decision": "revise", "changes": list(changes)}

    script = TeamScript(
        [step("a")],
        results={("a", 1): fail(RuntimeError("broken"))},
        revisions=[revision(DROP_A, RETRY_A), revision(RETRY_A)],
    )
    with open_team(script, tmp_path / "x.db") as team:
        assert team.run("task", auto_approve=True).status == "done"
        asked = [request.last_user for request in model_of(team).requests if request.title == "Revision"]
    assert len(asked) == 2
    assert "sub-task 'a' is dropped by a change before" in asked[1]


def test_every_change_that_makes_no_sense_is_named() -> None:
    with pytest.raises(PlanError) as raised:
        revise(DROP_A, RETRY_A, {"action": "retry", "sub_task_id": "z"}, ADD_C)
    assert len(raised.value.problems) == 2


def test_what_is_retried_and_reassigned_is_told_both_and_tried_once_more() -> None:
    after = revise({**RETRY_A, "text": "x"}, {**RETRY_A, "action": "reassign", "text": "y", "target_agent": "coder"})
    a = after.by_id["a"]
    assert (a.attempt, a.feedback, a.target_agent) == (2, ("x", "y"), "coder")
    revise(RETRY_A, RETRY_A, attempts=2)


def test_no_retry_beyond_the_attempts() -> None:
    with pytest.raises(PlanError, match="used its 1 attempts"):
        revise({"action": "retry", "sub_task_id": "a"}, attempts=1)


@pytest.mark.parametrize("data", [None, "x", {}, {"decision": "perhaps"}, {"decision": "revise", "changes": []}])
def test_what_is_no_revision_is_refused(data: object) -> None:
    with pytest.raises(PlanError):
        Revision.parse(data)


REVIEWED = Plan(
    sub_tasks=(
        SubTask(id="write", description="write it", target_agent="coder"),
        SubTask(id="review", description="review it", target_agent="reviewer", depends_on=("write",)),
        SubTask(id="second", description="review it too", target_agent="reviewer", depends_on=("write",)),
    )
)


def told(*feedback: str) -> Plan:
    """The reviewed plan, whose writer has been told this."""
    plan = REVIEWED
    for text in feedback:
        plan = plan.replace(plan.by_id["write"].retry(text))
    return plan


def asked(plan: Plan, **reasons: str) -> Assessment:
    """What becomes of a round in which these reviewers ask the writer for a change."""
    outcomes = {
        task_id: Outcome(
            id=task_id,
            key=plan.keys[task_id],
            status="succeeded",
            verdict=Verdict(reason=reason, verdict="changes_requested", sub_task_id="write"),
        )
        for task_id, reason in reasons.items()
    }
    return assess(plan, outcomes, attempts=5)


def test_a_change_that_is_asked_for_goes_back_with_its_reason() -> None:
    found = asked(told("give the source"), review="give the unit")
    assert found.retries == {"write": "give the unit"}
    assert not found.exhausted


@pytest.mark.parametrize("again", ["Give the source", "give the  source!", "**give the source**"])
def test_the_same_change_of_the_same_work_is_not_asked_for_twice(again: str) -> None:
    plan = told("give the source", "give the unit")
    found = asked(plan, review=again)
    assert found.retries == {}
    assert found.exhausted == {plan.keys["review"]: f"review asks for the same change of write again: {again}"}
    assert found.exhausted_ids == ["write"]
    assert not found.is_clean


def test_a_change_is_known_again_when_two_reviewers_asked_together() -> None:
    together = asked(REVIEWED, review="Give the source.\n\nName the page.", second="give the unit").retries["write"]
    assert asked(told(together), second="Give the unit").exhausted_ids == ["write"]
    assert asked(told(together), review="give the source\nname the page").exhausted_ids == ["write"]
    assert asked(told(together), review="name the page of the source").retries.keys() == {"write"}


@pytest.mark.parametrize("again", ["give the source and\nname the page", "Give the\nsource\n\nand name the page."])
def test_a_change_is_known_again_in_other_lines(again: str) -> None:
    assert asked(told("Give the source and name the page"), review=again).exhausted_ids == ["write"]
    assert asked(told(again), review="give the source and name the page").exhausted_ids == ["write"]
    assert asked(told(again), review="give the source and name").retries.keys() == {"write"}


def test_a_demand_about_an_earlier_version_of_the_work_counts_no_more() -> None:
    plan = told("give the source")
    of_before = Outcome(id="write", key=REVIEWED.keys["write"], status="failed", error="none")
    assert assess(plan, {"write": of_before}, attempts=5).is_clean
    assert not assess(REVIEWED, {"write": of_before}, attempts=5).is_clean


def test_two_reviewers_who_ask_for_the_same_are_passed_on_once() -> None:
    assert asked(REVIEWED, review="give the source", second="Give the source!").retries == {"write": "give the source"}


def test_feedback_without_a_word_is_never_the_same_again() -> None:
    assert asked(told("?"), review="?").retries == {"write": "?"}


def test_a_rejection_for_the_same_reason_is_not_tried_again() -> None:
    plan = told("too long")
    rejected = Outcome(id="write", key=plan.keys["write"], status="failed", error="rejected", rejected="Too long!")
    found = assess(plan, {"write": rejected}, attempts=5)
    assert found.exhausted == {plan.keys["write"]: "write was rejected again for the same reason: Too long!"}
