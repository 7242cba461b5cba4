"""The edges out of the supervisor: what is sent to the workers, in which order, and with what."""

from typing import Any, cast

from langgraph.graph import END

from orchestrator import Plan
from orchestrator.graph.routing import after_supervisor, assignments, unfinished
from orchestrator.graph.state import State
from tests.support.teams import step

PLAN = Plan.parse([step("a"), step("b"), step("c", "b"), step("d", "c"), step("e", "a")])


def success(plan: Plan, task_id: str, **fields: Any) -> dict[str, Any]:
    return {"id": task_id, "key": plan.keys[task_id], "status": "succeeded"} | fields


def payloads(plan: Plan, **state: Any) -> dict[str, Any]:
    sends = assignments(cast(State, {"plan": plan.plain(), "memory_id": "t", **state}))
    return {send.arg["sub_task"]["id"]: send.arg for send in sends}


def test_without_a_phase_the_run_is_over_and_a_gate_is_named_by_its_phase() -> None:
    assert after_supervisor({}) == END
    assert after_supervisor({"phase": "end"}) == END
    assert after_supervisor({"phase": "approve_plan"}) == "approve_plan"


def test_no_sub_task_is_sent_before_its_dependencies_and_long_chains_go_first() -> None:
    assert unfinished(PLAN, {}) == ["b", "a", "c", "e", "d"]


def test_a_success_is_not_sent_again_unless_its_sub_task_has_changed() -> None:
    outcomes = {"b": success(PLAN, "b"), "a": success(PLAN, "a") | {"status": "failed"}}
    assert unfinished(PLAN, outcomes) == ["a", "c", "e", "d"]
    changed = PLAN.replace(PLAN.by_id["b"].retry("shorter"))
    assert unfinished(changed, outcomes) == ["b", "a", "c", "e", "d"]


def test_a_first_round_needs_no_outcomes() -> None:
    assert list(payloads(PLAN)) == ["b", "a", "c", "e", "d"]


def test_only_another_attempt_is_told_of_the_result_before_it() -> None:
    outcomes = {"b": success(PLAN, "b"), "c": success(PLAN, "c")}
    changed = PLAN.replace(PLAN.by_id["b"].retry("shorter"))
    sent = payloads(changed, outcomes=outcomes)
    assert sent["b"]["previous"] == PLAN.keys["b"]
    assert not sent["c"].get("previous"), "it runs again only since b has changed"
