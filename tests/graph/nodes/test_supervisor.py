"""The supervisor's decisions: repairs of bad plans, rules after a round, revisions, and the limits of them all."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator import Limits, Supervisor, Team, Worker
from orchestrator.errors import PlanError
from orchestrator.testing import ScriptedModel, TeamScript, fail, say, structure
from tests.support.teams import model_of, open_team, statuses, step, worked

REJECT_B = {"reason": "b lacks a unit", "verdict": "changes_requested", "sub_task_id": "b"}
ACCEPT = {"reason": "fine", "verdict": "accept", "sub_task_id": ""}
REVIEWED = [step("a"), step("b", "a"), step("c", "b"), step("r", "b", agent="reviewer")]


def planning_team(*replies: Any, limits: Limits | None = None) -> Supervisor:
    team = Team(Supervisor(), [Worker("worker", "You work.")], model=ScriptedModel(list(replies)), limits=limits)
    return team.supervisor


def test_decompose_gives_a_plan() -> None:
    plan = planning_team(structure({"sub_tasks": [step("a"), step("b", "a")]})).decompose("the task")
    assert plan.order == ("a", "b")


def test_the_planner_is_shown_the_task_and_the_team() -> None:
    supervisor = planning_team(structure({"sub_tasks": [step("a")]}))
    supervisor.decompose("count the sheep")
    request = supervisor.model.requests[0]  # type: ignore[attr-defined]
    assert "worker: You work" in request.text
    assert request.last_user == "count the sheep"
    assert request.schema["properties"]["sub_tasks"]["items"]["properties"]["target_agent"]["enum"] == ["worker"]


def test_an_invalid_plan_goes_back_with_its_errors_and_is_repaired() -> None:
    supervisor = planning_team(
        structure({"sub_tasks": [step("a", "b"), step("b", "a", agent="poet")]}),
        say("this is no JSON"),
        structure({"sub_tasks": [step("a")]}),
    )
    assert supervisor.decompose("task").order == ("a",)
    requests = supervisor.model.requests  # type: ignore[attr-defined]
    assert "unknown agent 'poet'" in requests[1].last_user
    assert "cycle" in requests[1].last_user
    assert "not JSON" in requests[2].last_user


def test_after_two_repairs_it_fails_with_the_last_problems() -> None:
    bad = structure({"sub_tasks": [step("a", agent="poet")]})
    supervisor = planning_team(bad, bad, bad, bad)
    with pytest.raises(PlanError, match=r"poet.*asked 3 times"):
        supervisor.decompose("task")
    assert len(supervisor.model.requests) == 3  # type: ignore[attr-defined]


def test_a_plan_over_the_limit_is_refused() -> None:
    big = structure({"sub_tasks": [step(f"t{i}") for i in range(4)]})
    with pytest.raises(PlanError, match="4 sub-tasks, the limit is 3"):
        planning_team(big, limits=Limits(sub_tasks=3, plan_repairs=0)).decompose("task")


def test_when_all_succeed_no_model_is_asked_what_to_do(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a"), step("b", "a")]), tmp_path / "x.db") as team:
        run = team.run("task", auto_approve=True)
        assert run.status == "done"
        assert run.usage["model_calls"] == len(model_of(team).requests) == 4


def test_changes_requested_send_the_work_back_with_feedback_and_redo_what_was_built_on_it(tmp_path: Path) -> None:
    script = TeamScript(REVIEWED, verdicts={"r": [REJECT_B, ACCEPT]}, results={("b", 2): "12 km"})
    with open_team(script, tmp_path / "x.db") as team:
        run = team.run("task", auto_approve=True)
        assert run.status == "done"
        assert {i: o.attempt for i, o in run.outcomes.items()} == {"a": 1, "b": 2, "c": 1, "r": 1}
        assert sorted(worked(model_of(team))) == ["a", "b", "b", "c", "c"]
        again = next(r for r in model_of(team).requests if "Sub-task b (attempt 2)" in r.last_user)
        assert "b lacks a unit" in again.last_user
        assert "result of b" in again.last_user
        assert "result of b" not in model_of(team).requests[-1].last_user
        assert [e.text for e in team.memory.all() if e.sub_task_id == "b"] == ["12 km"]


BETTER = {("b", 2): "b in km"}


def test_what_every_attempt_cost_is_counted(tmp_path: Path) -> None:
    script = TeamScript(REVIEWED, results=BETTER, verdicts={"r": [REJECT_B, ACCEPT]})
    with open_team(script, tmp_path / "x.db") as team:
        run = team.run("task", auto_approve=True)
        assert run.usage["model_calls"] == len(model_of(team).requests)


def test_a_reviewer_that_is_never_content_ends_at_the_attempts(tmp_path: Path) -> None:
    with open_team(
        TeamScript(REVIEWED, results=BETTER, verdicts={"r": REJECT_B}), tmp_path / "x.db", limits=Limits(attempts=2)
    ) as team:
        run = team.run("task", auto_approve=True)
        assert run.status == "limited"
        assert run.exit_code == 4
        assert "b lacks a unit" in " ".join(run.errors)
        assert worked(model_of(team)).count("b") == 2
        assert "b lacks a unit" in model_of(team).requests[-1].last_user


def test_a_reviewer_that_asks_for_the_same_again_is_not_obeyed_twice(tmp_path: Path) -> None:
    script = TeamScript(REVIEWED, results=BETTER, verdicts={"r": REJECT_B})
    with open_team(script, tmp_path / "x.db", limits=Limits(attempts=9)) as team:
        run = team.run("task", auto_approve=True)
        assert run.status == "limited"
        assert "asks for the same change of b again" in " ".join(run.errors)
        assert worked(model_of(team)).count("b") == 2


def test_a_worker_that_gives_the_same_result_again_has_failed(tmp_path: Path) -> None:
    revision = {"reason": "it will not change", "decision": "finish", "changes": []}
    script = TeamScript(REVIEWED, verdicts={"r": [REJECT_B, ACCEPT]}, revisions=[revision])
    with open_team(script, tmp_path / "x.db") as team:
        run = team.run("task", auto_approve=True)
        assert run.outcomes["b"].error == "it gave the same result again as in attempt 1, in spite of the feedback"


def test_a_plan_that_is_changed_back_to_an_earlier_one_is_a_question_to_a_human(tmp_path: Path) -> None:
    def to(agent: str) -> dict[str, Any]:
        change = {"action": "reassign", "sub_task_id": "a", "text": "", "target_agent": agent, "depends_on": []}
        return {"reason": "", "decision": "revise", "changes": [change]}

    script = TeamScript(
        [step("a")],
        results={"a": fail(ValueError("no such page"))},
        revisions=[to("tooled"), to("worker"), to("tooled"), to("worker")],
    )
    with open_team(script, tmp_path / "x.db", limits=Limits(attempts=9)) as team:
        run = team.run("task", auto_approve=True)
        assert run.status == "limited"
        assert worked(model_of(team)).count("a") == 2, "back at the first worker it is not tried again"


def test_a_failed_sub_task_is_revised_by_the_supervisor(tmp_path: Path) -> None:
    revision = {
        "reason": "try another way",
        "decision": "revise",
        "changes": [
            {"action": "retry", "sub_task_id": "a", "text": "use the index", "target_agent": "", "depends_on": []}
        ],
    }
    script = TeamScript(
        [step("a"), step("b", "a")], results={("a", 1): fail(ValueError("no such page"))}, revisions=[revision]
    )
    with open_team(script, tmp_path / "x.db") as team:
        run = team.run("task", auto_approve=True)
        assert run.status == "done"
        assert run.outcomes["a"].attempt == 2
        asked = next(r for r in model_of(team).requests if r.title == "Revision")
        assert "no such page" in asked.last_user


def test_a_failure_never_cancels_its_siblings(tmp_path: Path) -> None:
    finish = {"reason": "enough", "decision": "finish", "changes": []}
    script = TeamScript(
        [step("a"), step("after_a", "a"), step("b"), step("after_b", "b")],
        results={"a": fail(RuntimeError("broken"))},
        revisions=[finish],
    )
    with open_team(script, tmp_path / "x.db") as team:
        run = team.run("task", auto_approve=True)
        assert statuses(run.outcomes) == {
            "a": "failed",
            "after_a": "skipped",
            "b": "succeeded",
            "after_b": "succeeded",
        }
        assert run.status == "failed"
        assert [each.sub_task_id for each in run.references] == ["b", "after_b"]
        assert "broken" in model_of(team).requests[-1].last_user


def test_added_work_needs_a_new_approval(tmp_path: Path) -> None:
    add = {
        "reason": "one more",
        "decision": "revise",
        "changes": [
            {"action": "drop", "sub_task_id": "a", "text": "", "target_agent": "", "depends_on": []},
            {"action": "add", "sub_task_id": "n", "text": "do it", "target_agent": "worker", "depends_on": []},
        ],
    }
    script = TeamScript([step("a"), step("b")], results={"a": fail(RuntimeError("no"))}, revisions=[add])
    with open_team(script, tmp_path / "x.db") as team:
        run = team.run("task")
        team.decide(run.reviews[0].id, "approve")
        run = team.resume(run.thread_id)
        assert [r.kind for r in run.reviews] == ["plan"]
        team.decide(run.reviews[0].id, "approve")
        run = team.resume(run.thread_id)
        assert statuses(run.outcomes) == {"b": "succeeded", "n": "succeeded"}
        assert worked(model_of(team)).count("b") == 1


def test_an_unusable_revision_falls_back_to_another_attempt_and_ends(tmp_path: Path) -> None:
    nonsense = {"reason": "", "decision": "revise", "changes": []}
    script = TeamScript([step("a")], results={"a": fail(RuntimeError("no"))}, revisions=[nonsense] * 99)
    with open_team(script, tmp_path / "x.db", limits=Limits(attempts=2, plan_repairs=0)) as team:
        run = team.run("task", auto_approve=True)
        assert run.status == "limited"
        assert worked(model_of(team)) == ["a", "a"]
        assert run.answer == ""


def test_asking_the_human_when_stuck_and_taking_the_instruction(tmp_path: Path) -> None:
    ask = {"reason": "no idea", "decision": "ask_human", "changes": []}
    script = TeamScript([step("a")], results={("a", 1): fail(RuntimeError("no"))}, revisions=[ask])
    with open_team(script, tmp_path / "x.db") as team:
        run = team.run("task")
        team.decide(run.reviews[0].id, "approve")
        run = team.resume(run.thread_id)
        (review,) = run.reviews
        assert review.kind == "steer"
        team.decide(review.id, "reject", "look in the cellar")
        run = team.resume(run.thread_id)
        assert run.status == "done"
        assert any("look in the cellar" in r.last_user for r in model_of(team).requests)


@pytest.mark.parametrize("wrong", [{"accepted": True}, {**ACCEPT, "verdict": "fine"}, {**ACCEPT, "score": 5}, []])
def test_a_verdict_of_another_shape_goes_back_to_the_reviewer(tmp_path: Path, wrong: Any) -> None:
    script = TeamScript([step("a"), step("r", "a", agent="reviewer")], verdicts={"r": [wrong, ACCEPT]})
    with open_team(script, tmp_path / "x.db") as team:
        run = team.run("task", auto_approve=True)
        assert statuses(run.outcomes) == {"a": "succeeded", "r": "succeeded"}
        asked = [request for request in model_of(team).requests if request.title == "Verdict"]
    assert len(asked) == 2
    assert "This cannot be used" in asked[1].last_user
