"""Typed answers: the answer as an instance of a type, checked, repaired, and never invented."""

import datetime
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, field_validator
from typing_extensions import TypedDict

from orchestrator import Budget, Persistence, TaskOrchestrator, compile_graph
from orchestrator.errors import ConfigError
from orchestrator.testing import OpenAIServer, Reply, Request, TeamScript, fail, structure
from tests.support.teams import make_team, model_of, open_team, step

PLAN = [step("t1"), step("t2", "t1")]


class Country(BaseModel):
    name: str
    people: int = Field(gt=0)
    area: float | None = None


@dataclass
class Point:
    x: int
    y: int


class Row(TypedDict):
    year: int


class Tree(BaseModel):
    name: str
    branches: list["Tree"] = []


ICELAND = {"name": "Iceland", "people": 364134, "area": None}


def envelope(answer: Any, missing: tuple[str, ...] = (), references: tuple[str, ...] = ()) -> Reply:
    return structure({"missing": list(missing), "references": list(references), "answer": answer})


def replying(*replies: Reply | str) -> Any:
    """A script whose typed requests get these replies in turn."""
    left = list(replies)
    team = TeamScript(PLAN, summary="as a text")

    def script(request: Request) -> Reply:
        if request.title == "Answer":
            reply = left.pop(0)
            return reply if isinstance(reply, Reply) else Reply(text=reply)
        return team(request)

    return script


def typed_requests(team: TaskOrchestrator) -> list[Request]:
    return [request for request in model_of(team).requests if request.title == "Answer"]


@pytest.mark.parametrize(
    ("kind", "data", "instance"),
    [
        (Country, ICELAND, Country(name="Iceland", people=364134)),
        (Point, {"x": 1, "y": 2}, Point(1, 2)),
        (Row, {"year": 2024}, {"year": 2024}),
        (list[Country], [ICELAND], [Country(name="Iceland", people=364134)]),
        (int, 7, 7),
        (Literal["yes", "no"], "yes", "yes"),
        (int | None, None, None),
        (datetime.date, "2024-02-01", datetime.date(2024, 2, 1)),
        (tuple[int, str], [1, "a"], (1, "a")),
        (Tree, {"name": "a", "branches": [{"name": "b", "branches": []}]}, Tree(name="a", branches=[Tree(name="b")])),
        ({"type": "object", "required": ["a"]}, {"a": 1}, {"a": 1}),
    ],
    ids=str,
)
def test_the_output_is_an_instance_and_the_answer_its_json(tmp_path: Path, kind: Any, data: Any, instance: Any) -> None:
    with open_team(replying(envelope(data, references=("t2",))), tmp_path / "x.db") as team:
        run = team.run("task", thread_id="t", auto_approve=True, output_type=kind)
        shown = team.show("t")
        again = team.resume("t", output_type=kind)
    assert (run.status, run.output, again.output) == ("done", instance, instance)
    assert type(run.output) is type(instance)
    assert json.loads(run.answer) == data
    assert shown.output == data
    assert shown.output_as(kind) == instance
    assert run.to_dict()["output"] == data
    assert [reference.sub_task_id for reference in run.references] == ["t2"]


def test_an_answer_of_another_shape_goes_back_with_what_is_wrong(tmp_path: Path) -> None:
    wrong = [envelope({**ICELAND, "people": -1}), "no JSON", envelope({"name": "Iceland"}), envelope(ICELAND)]
    with open_team(replying(*wrong[:2], wrong[3]), tmp_path / "x.db") as team:
        run = team.run("task", auto_approve=True, output_type=Country)
        asked = typed_requests(team)
    assert run.output == Country(name="Iceland", people=364134)
    assert "people: -1 is less than or equal to the minimum of 0" in asked[1].last_user
    assert "not JSON" in asked[2].last_user


def test_a_validator_of_the_type_counts_too(tmp_path: Path) -> None:
    class Even(BaseModel):
        number: int

        @field_validator("number")
        @classmethod
        def _even(cls, number: int) -> int:
            if number == 13:
                raise SystemExit("a validator that exits")
            if number % 2:
                raise ValueError("it has to be even")
            return number

    replies = [envelope({"number": 13}), envelope({"number": 3}), envelope({"number": 4})]
    with open_team(replying(*replies), tmp_path / "x.db") as team:
        run = team.run("task", auto_approve=True, output_type=Even)
        asked = typed_requests(team)
    assert run.output == Even(number=4)
    assert "a validator that exits" in asked[1].last_user
    assert "it has to be even" in asked[2].last_user


def test_after_the_repairs_the_run_is_limited_says_why_and_keeps_an_answer_as_text(tmp_path: Path) -> None:
    with open_team(replying(*[envelope({"name": 5})] * 3), tmp_path / "x.db") as team:
        run = team.run("task", thread_id="t", auto_approve=True, output_type=Country)
        assert len(typed_requests(team)) == 3
        assert team.show("t").errors == run.errors
    assert (run.status, run.exit_code, run.output, run.answer) == ("limited", 4, None, "as a text")
    assert run.errors[-1].startswith("there is no answer of the output type: the answer: 'people' is a required")
    with pytest.raises(ConfigError, match="not of that type"):
        run.output_as(Country)


def test_what_the_results_do_not_say_is_not_invented(tmp_path: Path) -> None:
    with open_team(replying(envelope(None, missing=("people",))), tmp_path / "x.db") as team:
        run = team.run("task", auto_approve=True, output_type=Country)
        assert len(typed_requests(team)) == 1, "asking again would only make the model invent it"
        assert "nothing says this: people" in model_of(team).requests[-1].last_user
    assert (run.status, run.output, run.answer) == ("limited", None, "as a text")
    assert run.errors == ("there is no answer of the output type: nothing says this: people",)


def test_a_value_for_what_is_missing_goes_back(tmp_path: Path) -> None:
    replies = [envelope({**ICELAND, "area": 1.0}, missing=("area",)), envelope(ICELAND, missing=("area",))]
    with open_team(replying(*replies), tmp_path / "x.db") as team:
        run = team.run("task", auto_approve=True, output_type=Country)
        assert "missing names 'area', and the answer has a value for it" in typed_requests(team)[1].last_user
    assert run.output == Country(name="Iceland", people=364134)
    assert run.status == "done"


def test_when_the_budget_does_not_suffice_the_results_stand_as_a_text(tmp_path: Path) -> None:
    with open_team(replying(), tmp_path / "x.db") as team:
        run = team.run("task", auto_approve=True, budget=Budget(model_calls=3, summary=0), output_type=Country)
    assert (run.status, run.output) == ("limited", None)
    assert "result of t1" in run.answer
    assert "there is no answer of the output type: the budget did not suffice" in run.errors


def test_the_schema_survives_the_process(tmp_path: Path) -> None:
    with open_team(replying(), tmp_path / "x.db") as team:
        review = team.run("task", thread_id="t", output_type=Country).reviews[0]
    with open_team(replying(envelope({"name": 5}), envelope(ICELAND)), tmp_path / "x.db") as team:
        team.decide(review, "approve")
        run = team.resume("t")
    assert (run.status, run.output) == ("done", ICELAND)
    assert run.output_as(Country).people == 364134


def test_the_next_task_on_the_thread_is_not_typed(tmp_path: Path) -> None:
    with open_team(replying(envelope(ICELAND)), tmp_path / "x.db") as team:
        team.run("task", thread_id="t", auto_approve=True, output_type=Country)
        run = team.run("task two", thread_id="t", auto_approve=True)
        assert len(typed_requests(team)) == 1
    assert (run.output, run.answer) == (None, "as a text")
    assert json.loads(run.turns[0].answer) == ICELAND


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (lambda: 1, "has no JSON schema"),
        ({"type": "nonsense"}, "no JSON schema: 'nonsense' is not valid"),
        (type("Own", (), {}), "has no JSON schema"),
    ],
)
def test_what_is_no_type_is_refused_at_once(tmp_path: Path, kind: Any, said: str) -> None:
    with open_team(replying(), tmp_path / "x.db") as team:
        with pytest.raises(ConfigError, match=said):
            team.run("task", output_type=kind)
        assert team.threads() == []


def test_a_weaker_endpoint_gets_the_schema_in_its_form(tmp_path: Path) -> None:
    from orchestrator import chat_model
    from orchestrator.models.settings import ModelSettings
    from orchestrator.testing.script import Request as Asked

    def script(request: Asked) -> Reply:
        return TeamScript(PLAN, summary=ICELAND)(request)

    with OpenAIServer(script) as server:
        team = make_team(script)
        model = chat_model(ModelSettings(base_url=server.base_url, model="m"))
        with TaskOrchestrator(team=team, model=model, db=str(tmp_path / "x.db")) as orchestrator:
            for agent in (orchestrator.supervisor, *orchestrator.workers.values()):
                agent.model = model
            run = orchestrator.run("task", auto_approve=True, output_type=Country)
        sent = server.bodies[-1]["response_format"]["json_schema"]
    assert run.output == Country(name="Iceland", people=364134)
    assert sent["name"] == "Answer"
    assert sent["schema"]["properties"]["answer"]["anyOf"][0]["properties"].keys() == {"name", "people", "area"}


def test_the_bare_graph_takes_a_schema_and_gives_the_data(tmp_path: Path) -> None:
    with Persistence(tmp_path / "x.db") as persistence:
        graph = compile_graph(
            make_team(TeamScript(PLAN, summary=ICELAND)),
            checkpointer=persistence.checkpointer,
            store=persistence.store,
        )
        config: Any = {"configurable": {"thread_id": "t"}}
        given = {"task": "x", "auto_approve": True, "output_schema": Country.model_json_schema()}
        output = graph.invoke(given, config)
        assert (output["status"], output["output"]) == ("done", ICELAND)
        with pytest.raises(ConfigError, match="no JSON schema"):
            graph.invoke({"task": "y", "auto_approve": True, "output_schema": {"type": "nonsense"}}, config)


def test_a_refusal_of_the_typed_request_gives_the_results(tmp_path: Path) -> None:
    from tests.support.endpoints import answered

    with open_team(replying(fail(answered(400))), tmp_path / "x.db") as team:
        run = team.run("task", auto_approve=True, output_type=Country)
    assert (run.status, run.output) == ("limited", None)
    assert "result of t1" in run.answer
