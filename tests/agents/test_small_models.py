"""What small models are held to: a worker first calls a tool, and an answer is more than references."""

from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import BaseTool, tool

from orchestrator import Plan, SubTask, Supervisor, TaskOrchestrator, Worker, declare
from orchestrator.models.openai_compatible import AdaptiveChatOpenAI
from orchestrator.testing import OpenAIServer, TeamScript
from tests.support.teams import open_team, step

PLAN = Plan(sub_tasks=(SubTask(id="a", description="add 2 and 3", target_agent="clerk"),))


@tool
def add(first: int, second: int) -> str:
    """Adds two numbers."""
    if first < 0:
        raise ValueError("the first number must not be negative")
    return str(first + second)


def ran(server: OpenAIServer, tmp_path: Path, adder: BaseTool, *, small: bool) -> list[dict[str, Any]]:
    """The steps that the worker's model was asked for, as schemas."""
    model = AdaptiveChatOpenAI(model="m", base_url=server.base_url, api_key="x", tool_mode="json", small=small)  # type: ignore[arg-type]
    team = [Worker("clerk", "You add.", tools=[adder])]
    with TaskOrchestrator(Supervisor(), team, model=model, db=str(tmp_path / "runs.db")) as orchestrator:
        assert orchestrator.run("x", plan=PLAN, auto_approve=True).status == "done"
    formats = [body["response_format"] for body in server.bodies if "response_format" in body]
    return [form["json_schema"]["schema"] for form in formats]


def may_answer(schema: dict[str, Any]) -> bool:
    return "answer" in str(schema)


REPLIES = [
    '{"tool": "add", "args": {"first": -2, "second": 3}}',
    '{"tool": "add", "args": {"first": 2, "second": 3}}',
    "5",
    "It is 5 [a].",
]


def test_a_small_model_calls_tools_until_one_has_told_it_something(tmp_path: Path) -> None:
    reading = declare(add.model_copy(), risk="read")
    with OpenAIServer(REPLIES) as server:
        schemas = ran(server, tmp_path, reading, small=True)
    assert [may_answer(schema) for schema in schemas] == [False, False]


@pytest.mark.parametrize(("small", "risk"), [(False, "read"), (True, "write"), (True, None)])
def test_others_and_whatever_does_more_than_read_have_the_choice(tmp_path: Path, small: bool, risk: Any) -> None:
    adder = declare(add.model_copy(), risk=risk) if risk else add.model_copy()
    with OpenAIServer(['{"tool": "answer", "text": "5"}', "It is 5 [a]."]) as server:
        schemas = ran(server, tmp_path, adder, small=small)
    assert [may_answer(schema) for schema in schemas] == [True]


def test_instead_of_an_answer_of_references_alone_the_results_are_given_as_they_stand(tmp_path: Path) -> None:
    script = TeamScript([step("a")], results={"a": "it is five"}, summary="[ a ] [total]")
    with open_team(script, tmp_path / "runs.db") as orchestrator:
        run = orchestrator.run("x", auto_approve=True)
    assert run.status == "done"
    assert "do a:\nit is five" in run.answer
