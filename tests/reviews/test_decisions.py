"""Reviews through TaskOrchestrator: every kind, every decision, from any process, and each refusal."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator import Decision, Plan, Run, TaskOrchestrator
from orchestrator.errors import ConfigError, DecisionError, UnknownThreadError
from orchestrator.testing import TeamScript, call, say
from tests.support.teams import model_of, open_team, statuses, step, worked, writer


def started(team: TaskOrchestrator) -> Run:
    """A run whose plan is approved."""
    run = team.run("task", thread_id="t")
    team.decide(run.reviews[0].id, "approve")
    return team.resume("t")


def by_sub_task(run: Run) -> dict[str, str]:
    return {review.sub_task_id: review.id for review in run.reviews}


def test_a_plan_waits_and_is_approved_by_another_object_on_the_database(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as one:
        run = one.run("task", thread_id="t")
        assert run.status == "waiting"
        assert run.exit_code == 3
        assert [r.kind for r in one.reviews()] == ["plan"]
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as two:
        (review,) = two.reviews("t")
        two.decide(review.id, "approve")
        assert two.reviews() == []
        assert two.resume("t").status == "done"


def test_a_plan_can_be_edited(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a"), step("b", "a")]), tmp_path / "x.db") as team:
        run = team.run("task", thread_id="t")
        team.decide(run.reviews[0].id, "edit", data=[step("x"), step("y", "x")])
        assert statuses(team.resume("t").outcomes) == {"x": "succeeded", "y": "succeeded"}


def test_a_rejected_plan_is_planned_again_with_the_feedback(tmp_path: Path) -> None:
    with open_team(TeamScript([[step("a")], [step("b")]]), tmp_path / "x.db") as team:
        run = team.run("task", thread_id="t")
        team.decide(run.reviews[0].id, "reject", "fewer letters")
        again = team.resume("t")
        assert again.reviews[0].id != run.reviews[0].id
        assert "fewer letters" in model_of(team).requests[-1].last_user
        team.decide(again.reviews[0].id, "approve")
        assert statuses(team.resume("t").outcomes) == {"b": "succeeded"}


def test_stop_ends_the_run(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        run = team.run("task", thread_id="t")
        team.decide(run.reviews[0].id, "stop")
        run = team.resume("t")
        assert run.status == "stopped"
        assert worked(model_of(team)) == []
        assert team.resume("t").status == "stopped"


@pytest.mark.parametrize(
    ("action", "text", "final"), [("approve", "", "result of a"), ("edit", "mended by hand", "mended by hand")]
)
def test_a_result_is_approved_or_edited(tmp_path: Path, action: Any, text: str, final: str) -> None:
    with open_team(TeamScript([step("a", approval=True), step("b", "a")]), tmp_path / "x.db") as team:
        run = started(team)
        assert run.reviews[0].subject["result"] == "result of a"
        team.decide(run.reviews[0].id, action, text)
        assert team.resume("t").status == "done"
        assert [e.text for e in team.memory_of("t").all() if e.sub_task_id == "a"] == [final]
        assert final in next(r for r in model_of(team).requests if "Sub-task b" in r.last_user).last_user
        assert worked(model_of(team)) == ["a", "b"]


def test_a_rejected_result_is_made_again_with_the_feedback(tmp_path: Path) -> None:
    script = TeamScript([step("a", approval=True)], results={("a", 2): "better"})
    with open_team(script, tmp_path / "x.db") as team:
        run = started(team)
        team.decide(run.reviews[0].id, "reject", "too short")
        run = team.resume("t")
        assert run.reviews[0].subject["result"] == "better"
        assert "too short" in model_of(team).requests[-1].last_user


TOOL_PLAN = [step("a", agent="tooled"), step("b", "a"), step("c")]
TOOL_RESULTS: Any = {"a": [call("write", text="one"), say("finished")]}


def test_a_tool_that_does_more_than_read_asks_first_and_blocks_only_its_branch(tmp_path: Path) -> None:
    effects: list[str] = []
    with open_team(TeamScript(TOOL_PLAN, results=TOOL_RESULTS), tmp_path / "x.db", writer(effects)) as team:
        run = started(team)
        (review,) = run.reviews
        assert (review.kind, review.subject["tool"], review.subject["args"]) == ("tool", "write", {"text": "one"})
        assert effects == []
        assert statuses(run.outcomes) == {"c": "succeeded"}
        team.decide(review.id, "approve")
        assert team.resume("t").status == "done"
        assert effects == ["one"]


def test_a_tool_call_can_be_edited(tmp_path: Path) -> None:
    effects: list[str] = []
    with open_team(TeamScript(TOOL_PLAN, results=TOOL_RESULTS), tmp_path / "x.db", writer(effects)) as team:
        team.decide(started(team).reviews[0].id, "edit", data={"text": "two"})
        assert team.resume("t").status == "done"
        assert effects == ["two"]


def test_a_rejected_tool_call_does_not_happen_and_its_agent_is_told_why(tmp_path: Path) -> None:
    effects: list[str] = []
    with open_team(TeamScript(TOOL_PLAN, results=TOOL_RESULTS), tmp_path / "x.db", writer(effects)) as team:
        team.decide(started(team).reviews[0].id, "reject", "not on a Sunday")
        assert team.resume("t").status == "done"
        assert effects == []
        assert any("not on a Sunday" in request.text for request in model_of(team).requests)


def test_stopping_at_a_tool_ends_the_run(tmp_path: Path) -> None:
    effects: list[str] = []
    with open_team(TeamScript(TOOL_PLAN, results=TOOL_RESULTS), tmp_path / "x.db", writer(effects)) as team:
        team.decide(started(team).reviews[0].id, "stop")
        assert team.resume("t").status == "stopped"
        assert effects == []


def test_a_tool_that_says_nothing_of_itself_asks_first(tmp_path: Path) -> None:
    def write(text: str) -> str:
        """Says nothing of its risk."""
        raise AssertionError("it was called")

    with open_team(TeamScript(TOOL_PLAN, results=TOOL_RESULTS), tmp_path / "x.db", write) as team:
        assert [review.kind for review in started(team).reviews] == ["tool"]


def test_several_reviews_are_answered_one_by_one(tmp_path: Path) -> None:
    plan = [step("a", approval=True), step("after_a", "a"), step("b", approval=True), step("after_b", "b")]
    with open_team(TeamScript(plan), tmp_path / "x.db") as team:
        run = started(team)
        team.decide(by_sub_task(run)["b"], "approve")
        run = team.resume("t")
        assert by_sub_task(run).keys() == {"a"}
        assert run.outcomes["after_b"].status == "succeeded"
        team.decide(by_sub_task(run)["a"], "approve")
        assert team.resume("t").status == "done"
        assert sorted(worked(model_of(team))) == ["a", "after_a", "after_b", "b"]


def test_resuming_without_a_decision_asks_again_and_does_nothing_else(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a", approval=True)]), tmp_path / "x.db") as team:
        first = started(team)
        asked = len(model_of(team).requests)
        for _ in range(3):
            assert team.resume("t").reviews == first.reviews
        assert len(model_of(team).requests) == asked


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"review_id": "t/plan-00000000"}, "is not open"),
        ({"review_id": "nobody/plan-1"}, "no review"),
        ({"review_id": "garbage"}, "no review"),
        ({"action": "perhaps"}, "perhaps"),
        ({"action": "reject"}, "needs a text"),
        ({"action": "edit", "data": [step("a", "a")]}, "depends on itself"),
        ({"action": "edit", "data": None}, "not sound"),
        ({"action": "edit", "data": [step("a", agent="poet")]}, "poet"),
    ],
)
def test_a_decision_that_answers_nothing_is_refused_and_changes_nothing(
    tmp_path: Path, change: dict[str, Any], problem: str
) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        (review,) = team.run("task", thread_id="t").reviews
        with pytest.raises((DecisionError, ValueError), match=problem):
            team.decide(**({"review_id": review.id, "action": "approve"} | change))
        assert team.reviews("t") == [review]


def test_a_review_is_answered_once(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        (review,) = team.run("task", thread_id="t").reviews
        team.decide(review.id, "approve")
        team.decide(review.id, "approve")
        with pytest.raises(DecisionError, match=r"already been answered with 'approve' at [\d :-]+ UTC( by \S+)?$"):
            team.decide(review.id, "stop")
        team.resume("t")
        with pytest.raises(DecisionError, match="not open"):
            team.decide(review.id, "approve")


def test_on_review_answers_on_the_spot(tmp_path: Path) -> None:
    def approve(review: Any) -> Decision:
        return Decision(review_id=review.id, action="approve")

    with open_team(TeamScript([step("a", approval=True)]), tmp_path / "x.db") as team:
        assert team.run("task", on_review=approve).status == "done"


def test_request_human_review_can_be_overridden_as_in_the_brief(tmp_path: Path) -> None:
    asked = []

    class Mine(TaskOrchestrator):
        def request_human_review(self, sub_task: Any, result: str, review: Any = None) -> Decision:
            asked.append((sub_task.id, result))
            return Decision(review_id=review.id, action="approve")

    with open_team(TeamScript([]), "memory://") as other:
        team = Mine(team=other.team, db=str(tmp_path / "x.db"))
        run = team.run("task", plan=Plan.parse([step("a", approval=True)]))
        team.close()
    assert run.status == "done"
    assert asked == [("a", "result of a")]


def test_unknown_threads_are_refused(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        for look in (team.resume, team.show, team.reviews, team.delete):
            with pytest.raises(UnknownThreadError, match="'nobody'"):
                look("nobody")


def test_a_thread_with_an_unfinished_run_takes_no_new_task(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        team.run("task", thread_id="t")
        with pytest.raises(ConfigError, match="not finished"):
            team.run("another", thread_id="t")


def test_deleting_a_thread_leaves_nothing_of_it(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        run = team.run("task", thread_id="t")
        team.decide(run.reviews[0].id, "approve")
        team.resume("t")
        team.delete("t")
        assert team.threads() == []
        tables = {
            name: team.persistence._conn.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for name in ("checkpoints", "writes", "store")
        }
        assert set(tables.values()) == {0}


@pytest.mark.parametrize("name", ["", " ", "x" * 200, "a\nb"])
def test_thread_names_that_cannot_be_used_are_refused(tmp_path: Path, name: str) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team, pytest.raises(ConfigError):
        team.run("task", thread_id=name or " ")
