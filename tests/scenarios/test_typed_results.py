"""Typed results: a sub-task with an output schema has JSON of the schema as its result."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from orchestrator import Plan, SubTask, Supervisor, TaskOrchestrator, Team, Worker, declare
from orchestrator.errors import DecisionError, PlanError
from orchestrator.testing import ScriptedModel, TeamScript, call, structure
from tests.support.teams import model_of, open_team, statuses, step


class Country(BaseModel):
    name: str
    people: int


ICELAND = {"name": "Iceland", "people": 364134}
SCHEMA: Any = Country.model_json_schema()
TYPED = SubTask(id="t1", description="do t1", target_agent="worker", output_schema=Country)
NEXT = SubTask(id="t2", description="do t2", target_agent="worker", depends_on=("t1",))


def test_the_result_is_json_in_the_memory_and_for_dependents(tmp_path: Path) -> None:
    with open_team(TeamScript([], outputs={"t1": ICELAND}), tmp_path / "x.db") as team:
        run = team.run("task", plan=[TYPED, NEXT], auto_approve=True)
        entry = team.memory.read(run.outcomes["t1"].key)
        dependent = next(request for request in model_of(team).requests if "Sub-task t2" in request.last_user)
        assert len(model_of(team).requests) == 3, "without tools the result is asked for at once in its schema"
    assert run.status == "done"
    assert entry is not None
    assert entry.data == ICELAND
    assert entry.text in dependent.last_user


def test_a_worker_with_tools_uses_them_first(tmp_path: Path) -> None:
    def look() -> str:
        """Look."""
        return "364,134 people"

    plan = [TYPED.model_copy(update={"target_agent": "tooled"})]
    script = TeamScript([], results={"t1": [call("look"), "364,134"]}, outputs={"t1": ICELAND})
    with open_team(script, tmp_path / "x.db", declare(look, risk="read")) as team:
        run = team.run("task", plan=plan, auto_approve=True)
        asked = next(request for request in model_of(team).requests if request.title == "Answer")
        entry = team.memory.read(run.outcomes["t1"].key)
    assert "What you have found:\n364,134" in asked.text
    assert entry is not None
    assert (entry.data, entry.sources) == (ICELAND, ("look",))


def test_what_is_not_known_fails_the_sub_task_and_invents_nothing(tmp_path: Path) -> None:
    unknown = structure({"missing": ["people"], "references": [], "answer": None})
    finish = {"reason": "enough", "decision": "finish", "changes": []}
    with open_team(TeamScript([], outputs={"t1": unknown}, revisions=[finish]), tmp_path / "x.db") as team:
        run = team.run("task", plan=[TYPED], auto_approve=True)
    assert statuses(run.outcomes) == {"t1": "failed"}
    assert "nothing says this: people" in run.outcomes["t1"].error


@pytest.mark.parametrize(
    ("edited", "said"),
    [("Iceland", "it has to be JSON of its schema"), ('{"name": "Iceland"}', "'people' is a required property")],
)
def test_a_humans_edit_has_to_fit_the_schema(tmp_path: Path, edited: str, said: str) -> None:
    plan = [TYPED.model_copy(update={"requires_approval": True})]
    with open_team(TeamScript([], outputs={"t1": ICELAND}), tmp_path / "x.db") as team:
        [review] = team.run("task", thread_id="t", plan=plan).reviews
        with pytest.raises(DecisionError, match=said):
            team.decide(review, "edit", edited)
        team.decide(review, "edit", json.dumps({"name": "Iceland", "people": 5}))
        run = team.resume("t")
        entry = team.memory.read(run.outcomes["t1"].key)
    assert run.status == "done"
    assert entry is not None
    assert entry.data["people"] == 5


def test_an_edited_plan_may_hold_a_schema(tmp_path: Path) -> None:
    with open_team(TeamScript([step("t1")], outputs={"t1": ICELAND}), tmp_path / "x.db") as team:
        [review] = team.run("task", thread_id="t").reviews
        team.decide(review, "edit", data=[{**step("t1"), "output_schema": SCHEMA}])
        run = team.resume("t")
        entry = team.memory.read(run.outcomes["t1"].key)
    assert entry is not None
    assert entry.data == ICELAND


def test_the_schema_is_a_part_of_the_key_and_without_one_keys_stay() -> None:
    plain = SubTask(id="t1", description="do t1", target_agent="worker")
    assert Plan(sub_tasks=(plain,)).keys["t1"] == "t1-0211a69ef4af"
    assert Plan(sub_tasks=(TYPED,)).keys["t1"] != "t1-0211a69ef4af"
    assert Plan.parse(Plan(sub_tasks=(TYPED,)).plain()) == Plan(sub_tasks=(TYPED,))
    assert "output_schema" not in Plan(sub_tasks=(plain,)).plain()["sub_tasks"][0]


@pytest.mark.parametrize("kind", [{"type": "nonsense"}, lambda: 1, 5])
def test_what_is_no_schema_is_refused(kind: Any) -> None:
    with pytest.raises(PlanError, match="JSON schema"):
        SubTask(id="t1", description="do t1", target_agent="worker", output_schema=kind)


@pytest.mark.parametrize(("said", "status"), [(json.dumps(ICELAND), "succeeded"), ("Iceland", "failed")])
def test_a_guest_has_to_give_json_of_the_schema_itself(tmp_path: Path, said: str, status: str) -> None:
    def guest(task: str) -> str:
        return said

    finish = {"reason": "enough", "decision": "finish", "changes": []}
    model = ScriptedModel(TeamScript([], revisions=[finish]))
    team = Team(Supervisor(), [Worker.of(guest, name="guest", description="knows countries", risk="read")], model=model)
    plan = [TYPED.model_copy(update={"target_agent": "guest"})]
    with TaskOrchestrator(team=team, db=str(tmp_path / "x.db")) as orchestrator:
        run = orchestrator.run("task", plan=plan, auto_approve=True)
    assert statuses(run.outcomes) == {"t1": status}
