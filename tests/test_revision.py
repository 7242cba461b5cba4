"""Revision: what the supervisor's changes do to a plan."""

from typing import Any

import pytest

from orchestrator import Plan, SubTask
from orchestrator.errors import PlanError
from orchestrator.revision import Revision

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


def test_no_retry_beyond_the_attempts() -> None:
    with pytest.raises(PlanError, match="used its 1 attempts"):
        revise({"action": "retry", "sub_task_id": "a"}, attempts=1)


@pytest.mark.parametrize("data", [None, "x", {}, {"decision": "perhaps"}, {"decision": "revise", "changes": []}])
def test_what_is_no_revision_is_refused(data: object) -> None:
    with pytest.raises(PlanError):
        Revision.parse(data)
