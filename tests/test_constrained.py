"""Tools and structured answers on endpoints that have none, through the true HTTP path."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import openai
import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel, SecretStr

from orchestrator import endpoint
from orchestrator.constrained import first_json_object, inlined, render_plain, tool_schema
from orchestrator.endpoint import AdaptiveChatOpenAI
from orchestrator.models import ModelSettings, make_endpoint
from orchestrator.testing import Fault, OpenAIServer, Reply, Request, call

Faults = Callable[[dict[str, Any]], Fault | None]


@tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


class Sum(BaseModel):
    """The result."""

    total: int


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test's endpoint cannot do is no knowledge for the next, which may get the same port."""
    monkeypatch.setattr(endpoint, "_known", {})


def model_at(server: OpenAIServer, **more: Any) -> AdaptiveChatOpenAI:
    return make_endpoint("m", server.base_url, SecretStr("k"), ModelSettings(max_retries=0), **more)


def no_tools(body: dict[str, Any]) -> Fault | None:
    return Fault(400, "this model does not support tools") if "tools" in body else None


def no_strict(body: dict[str, Any]) -> Fault | None:
    wanted = (body.get("response_format") or {}).get("json_schema", {})
    return Fault(422, "unknown field: strict") if "strict" in wanted else None


def no_schema(body: dict[str, Any]) -> Fault | None:
    return Fault(400, "response_format is not supported") if "response_format" in body else None


def stepping(request: Request) -> Reply:
    """Calls `add` natively or as JSON, whatever it is offered; then answers."""
    if "5" in request.last_user or any(role == "tool" for role, _ in request.messages):
        return Reply('{"tool": "answer", "text": "it is 5"}' if not request.tools else "it is 5")
    if request.tools:
        return call("add", a=2, b=3)
    return Reply('Sure:\n```json\n{"tool": "add", "args": {"a": 2, "b": 3}}\n```')


@pytest.mark.parametrize(
    "faults", [None, no_tools, lambda b: no_tools(b) or no_schema(b)], ids=["native", "json", "words"]
)
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_an_agent_calls_tools_whatever_the_endpoint_can_do(faults: Faults | None, asynchronous: bool) -> None:
    with OpenAIServer(stepping, faults=faults) as server:
        agent: Any = create_agent(model_at(server), [add])
        asked = {"messages": [HumanMessage("add 2 and 3")]}
        done = await agent.ainvoke(asked) if asynchronous else await asyncio.to_thread(agent.invoke, asked)
    calls = [made for message in done["messages"] if isinstance(message, AIMessage) for made in message.tool_calls]
    assert [(made["name"], made["args"]) for made in calls] == [("add", {"a": 2, "b": 3})]
    results = [message for message in done["messages"] if isinstance(message, ToolMessage)]
    assert [(message.text, message.tool_call_id) for message in results] == [("5", calls[0]["id"])]
    assert done["messages"][-1].text == "it is 5"


def test_what_an_endpoint_cannot_do_is_asked_once() -> None:
    with OpenAIServer(stepping, faults=no_tools) as server:
        for _ in range(2):
            model_at(server).bind_tools([add]).invoke("add 2 and 3")
        assert ["tools" in body for body in server.bodies] == [True, False, False]


async def test_requests_already_under_way_at_the_first_refusal_are_asked_again_too() -> None:
    with OpenAIServer(stepping, faults=no_tools) as server:
        bound = model_at(server).bind_tools([add])
        # All of these are built before any is answered, so all of them have the form that is refused.
        answers = await asyncio.gather(*[bound.ainvoke("add 2 and 3") for _ in range(8)])
    assert [answer.tool_calls[0]["name"] for answer in answers] == ["add"] * 8


def test_a_refused_request_in_an_old_form_is_asked_again_when_another_has_learned() -> None:
    known = endpoint.Abilities()
    assert known.learn("no tools here", asked_tools=True, asked_schema=None)
    assert known.learn("no tools here", asked_tools=True, asked_schema=None)
    assert known.learn("no schema", asked_tools=False, asked_schema="strict")
    assert known.learn("no schema", asked_tools=False, asked_schema="strict")
    assert str(known.schema) == "plain"
    assert known.learn("no schema", asked_tools=False, asked_schema="plain")
    assert known.learn("no schema", asked_tools=False, asked_schema="strict")
    assert str(known.schema) == "words", "a late refusal of the first form must not undo what is known"


def test_a_prompt_that_is_too_long_teaches_nothing() -> None:
    told = "maximum context length is 4096 tokens; you sent 5000, of which 900 in the tools"
    with OpenAIServer(["never"], faults=lambda _: Fault(400, told)) as server:
        model = model_at(server)
        with pytest.raises(openai.BadRequestError):
            model.bind_tools([add]).invoke("x")
        assert len(server.bodies) == 1
        assert model.abilities == endpoint.Abilities()


def test_json_mode_holds_beside_a_model_that_finds_out() -> None:
    with OpenAIServer(stepping) as server:
        model_at(server).bind_tools([add]).invoke("add 2 and 3")
        answer = model_at(server, tool_mode="json").bind_tools([add]).invoke("add 2 and 3")
        assert ["tools" in body for body in server.bodies] == [True, False]
    assert answer.tool_calls[0]["args"] == {"a": 2, "b": 3}


def test_native_mode_never_falls_back() -> None:
    with OpenAIServer(stepping, faults=no_tools) as server:
        with pytest.raises(openai.BadRequestError):
            model_at(server, tool_mode="native").bind_tools([add]).invoke("add 2 and 3")
        assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("faults", "forms"),
    [
        (None, ["strict"]),
        (no_strict, ["strict", "plain"]),
        (no_schema, ["strict", "plain", "words"]),
    ],
)
def test_a_schema_is_asked_for_in_the_best_form_that_is_taken(faults: Faults | None, forms: list[str]) -> None:
    with OpenAIServer(
        lambda _: Reply('Here you are: {"total": 5}' if forms[-1] == "words" else '{"total": 5}'), faults=faults
    ) as server:
        asked = model_at(server).with_structured_output(Sum, method="json_schema", include_raw=True, strict=True)
        assert asked.invoke("sum up")["parsed"] == Sum(total=5)
        seen = [(body.get("response_format") or {}).get("json_schema") for body in server.bodies]
        assert ["words" if s is None else "strict" if s.get("strict") else "plain" for s in seen] == forms
        told = json.dumps(server.bodies[-1]["messages"])
    assert ("total" in told) == (forms[-1] == "words"), "the schema stands in the prompt exactly when it has to"


@pytest.mark.parametrize("mode", ["native", "json"])
@pytest.mark.parametrize("strategy", [ToolStrategy, ProviderStrategy])
def test_an_agents_structured_answer(mode: str, strategy: Any) -> None:
    def script(request: Request) -> Reply:
        if not request.tools and not request.schema:
            raise AssertionError("no form was asked for")
        if request.title == "Step":
            alternatives = [part["properties"] for part in request.schema.get("anyOf", [request.schema])]
            names = [part["tool"]["const"] for part in alternatives]
            if "Result" not in request.last_user:
                return Reply('{"tool": "add", "args": {"a": 2, "b": 3}}')
            if strategy is ToolStrategy:
                assert names == ["add", "Sum"]
                return Reply('{"tool": "Sum", "args": {"total": 5}}')
            assert alternatives[-1]["text"]["properties"]["total"]["type"] == "integer"
            return Reply('{"tool": "answer", "text": {"total": 5}}')
        if not any(role == "tool" for role, _ in request.messages):
            return call("add", a=2, b=3)
        return call("Sum", total=5) if strategy is ToolStrategy else Reply('{"total": 5}')

    with OpenAIServer(script) as server:
        agent: Any = create_agent(model_at(server, tool_mode=mode), [add], response_format=strategy(Sum))
        done = agent.invoke({"messages": [HumanMessage("add 2 and 3")]})
    assert done["structured_response"] == Sum(total=5)


def test_a_forced_tool_leaves_no_other_way() -> None:
    tools = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in "pq"]
    named = [part["properties"]["tool"]["const"] for part in tool_schema(tools, "any")["anyOf"]]
    assert named == ["p", "q"]
    for forced in ("q", {"type": "function", "function": {"name": "q"}}):
        assert tool_schema(tools, forced)["properties"]["tool"]["const"] == "q"
    assert tool_schema(tools, None)["anyOf"][-1]["properties"]["tool"]["const"] == "answer"


def test_references_inside_a_tools_parameters_are_resolved() -> None:
    leaf = {"type": "string"}
    schema = {
        "type": "object",
        "properties": {"one": {"$ref": "#/$defs/A"}, "many": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}},
        "$defs": {"A": {"properties": {"x": leaf}}, "Tree": {"properties": {"below": {"$ref": "#/$defs/Tree"}}}},
    }
    assert inlined(schema) == {
        "type": "object",
        "properties": {
            "one": {"properties": {"x": leaf}},
            "many": {"type": "array", "items": {"properties": {"below": {}}}},
        },
    }


def test_the_history_of_calls_becomes_plain_roles() -> None:
    made = {"name": "add", "args": {"a": 2, "b": 3}, "id": "c1"}
    history = [
        SystemMessage("S"),
        HumanMessage("H"),
        AIMessage("", tool_calls=[made]),
        ToolMessage("5", tool_call_id="c1", name="add"),
    ]
    system, _, step, result = render_plain(history, "extra")
    assert system.text == "S\n\nextra"
    assert json.loads(step.text) == {"tool": "add", "args": {"a": 2, "b": 3}}
    assert not step.tool_calls  # type: ignore[attr-defined]
    assert (result.type, result.text) == ("human", "Result of add:\n5")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1}', {"a": 1}),
        ('I think {so}: ```json\n{"a": {"b": [1, 2]}}\n``` and {"c": 3}', {"a": {"b": [1, 2]}}),
        ('{"cut": ', None),
        ("[1, 2]", None),
        ("", None),
    ],
)
def test_the_first_json_object_of_a_text(text: str, found: Any) -> None:
    assert first_json_object(text) == found
