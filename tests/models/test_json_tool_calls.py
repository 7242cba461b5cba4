"""Tools and structured answers at endpoints that offer neither, over the true HTTP path."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import openai
import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel, SecretStr

from orchestrator import Supervisor, Team, Worker
from orchestrator.models.capabilities import KNOWN, Capabilities
from orchestrator.models.endpoint import make_endpoint
from orchestrator.models.json_answers import inlined, may_be_strict
from orchestrator.models.json_tool_calls import tool_schema
from orchestrator.models.openai_compatible import AdaptiveChatOpenAI
from orchestrator.models.requests.tools import in_words
from orchestrator.models.settings import ModelSettings
from orchestrator.planning.schemas import plan_schema, revision_schema, verdict_schema
from orchestrator.testing import Fault, OpenAIServer, Reply, Request, call
from tests.support.teams import step

Faults = Callable[[dict[str, Any]], Fault | None]


@tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


class Sum(BaseModel):
    """The result."""

    total: int


@pytest.fixture(autouse=True)
def _nothing_known() -> None:
    """Forget the capabilities of former endpoints: the next test may get the same port."""
    KNOWN.clear()


def model_at(server: OpenAIServer, **more: Any) -> AdaptiveChatOpenAI:
    return make_endpoint("m", server.base_url, SecretStr("k"), ModelSettings(max_retries=0), **more)


def no_tools(body: dict[str, Any]) -> Fault | None:
    return Fault(400, "this model does not support tools") if "tools" in body else None


def no_strict(body: dict[str, Any]) -> Fault | None:
    wanted = (body.get("response_format") or {}).get("json_schema", {})
    return Fault(422, "unknown field: strict") if "strict" in wanted else None


def no_schema(body: dict[str, Any]) -> Fault | None:
    return Fault(400, "response_format is not supported") if "response_format" in body else None


def no_grammar(body: dict[str, Any]) -> Fault | None:
    return Fault(400, "failed to build a grammar") if "response_format" in body else None


def stepping(request: Request) -> Reply:
    """Call `add` natively or as JSON, as the request offers, and then answer."""
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


def test_a_prompt_that_is_too_long_teaches_the_window_alone() -> None:
    told = "maximum context length is 4096 tokens; you sent 5000, of which 900 in the tools"
    with OpenAIServer(["never"], faults=lambda _: Fault(400, told)) as server:
        model = model_at(server)
        with pytest.raises(openai.BadRequestError):
            model.bind_tools([add]).invoke("x")
        assert len(server.bodies) == 1
        assert model.capabilities == Capabilities(window=4096)


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
        assert all("tools" in body for body in server.bodies)


def form_of(body: dict[str, Any]) -> str:
    wanted = body.get("response_format") or {}
    if (inner := wanted.get("json_schema")) is None:
        return "object" if wanted else "words"
    is_simple = "additionalProperties" not in inner["schema"]
    return "strict" if inner.get("strict") else "simple" if is_simple else "plain"


@pytest.mark.parametrize(
    ("faults", "forms"),
    [
        (None, ["strict"]),
        (no_strict, ["strict", "plain"]),
        (no_grammar, ["strict", "plain", "simple", "object", "words"]),
        (no_schema, ["strict", "words"]),
    ],
)
def test_a_schema_is_asked_for_in_the_best_form_that_is_taken(faults: Faults | None, forms: list[str]) -> None:
    with OpenAIServer(
        lambda _: Reply('Here you are: {"total": 5}' if forms[-1] == "words" else '{"total": 5}'), faults=faults
    ) as server:
        asked = model_at(server).with_structured_output(Sum, method="json_schema", include_raw=True, strict=True)
        assert asked.invoke("sum up")["parsed"] == Sum(total=5)
        assert [form_of(body) for body in server.bodies] == forms
        told = json.dumps(server.bodies[-1]["messages"])
    assert ("total" in told) == (forms[-1] == "words"), "the schema stands in the prompt exactly when it has to"


SUM: dict[str, Any] = {
    "title": "Sum",
    "type": "object",
    "properties": {"total": {"type": "integer"}},
    "required": ["total"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("schema", "form"),
    [
        (SUM, True),
        ({**SUM, "required": []}, False),
        ({**SUM, "additionalProperties": True}, False),
        ({**SUM, "properties": {"total": {"type": "string", "minLength": 3}}}, False),
        ({**SUM, "properties": {"total": {"type": "array", "items": {"type": "object"}}}}, False),
        (Sum, False),
    ],
)
def test_a_schema_is_strict_unless_openai_would_refuse_it_as_such(schema: Any, form: bool) -> None:
    with OpenAIServer(['{"total": 5}']) as server:
        asked = model_at(server).with_structured_output(schema, method="json_schema", include_raw=True)
        asked.invoke("sum up")
        assert bool(server.bodies[0]["response_format"]["json_schema"].get("strict")) == form
        assert server.bodies[0]["response_format"]["json_schema"]["schema"]["properties"]["total"]


def test_the_engines_own_schemas_keep_to_the_rules_for_strict_ones() -> None:
    agents = ["one", "two"]
    assert all(map(may_be_strict, (plan_schema(agents), revision_schema(agents), verdict_schema(["a"]))))


@pytest.mark.parametrize(
    "first", ["The total is five.", '{"sum": 5}', '{"total": "five"}', '{"total": 5, "unit": "m"}']
)
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_an_endpoint_that_ignores_a_schema_is_told_it_in_words_from_then_on(
    first: str, asynchronous: bool
) -> None:
    with OpenAIServer([first, '{"total": 5}']) as server:
        asked = model_at(server).with_structured_output(SUM, method="json_schema", include_raw=True)
        for _ in range(2):
            reply = await asked.ainvoke("x") if asynchronous else await asyncio.to_thread(asked.invoke, "x")
        assert reply["parsed"] == {"total": 5}
        before, after = server.bodies
    assert "fits this JSON schema" not in str(before["messages"])
    assert "fits this JSON schema" in str(after["messages"])
    assert '"total"' in str(after["messages"])
    assert after["response_format"] == before["response_format"], "it may keep to it another time"


def test_a_planner_whose_endpoint_ignores_the_schema_is_told_it_with_the_first_repair() -> None:
    plan = json.dumps({"sub_tasks": [step("a")]})
    with OpenAIServer(["First I would do a.", f"Well then: {plan}"]) as server:
        team = Team(Supervisor(), [Worker("worker", "You work.")], model=model_at(server))
        assert team.supervisor.decompose("task").order == ("a",)
        repair = server.bodies[1]["messages"]
    assert "target_agent" in str(repair)
    assert "This cannot be used" in repair[-1]["content"]


def test_half_a_plan_is_not_taken_for_a_whole_one() -> None:
    whole = json.dumps({"sub_tasks": [step("a"), step("b")]})
    half = whole[: whole.index('"id": "b"') - 3]

    def cut_off(body: dict[str, Any]) -> Fault | None:
        if len(body["messages"]) > 2:
            return None
        choice = {"message": {"role": "assistant", "content": half}, "finish_reason": "length"}
        return Fault(200, raw=json.dumps({"choices": [choice]}))

    with OpenAIServer([whole], faults=cut_off) as server:
        team = Team(Supervisor(), [Worker("worker", "You work.")], model=model_at(server))
        assert team.supervisor.decompose("task").order == ("a", "b")
        said, told = server.bodies[1]["messages"][-2:]
    assert said["content"] == half
    assert "cut off by its length limit" in told["content"]


@pytest.mark.parametrize(
    "reply", [Reply('{"total"'), Reply("five"), Reply('{"total": 5, "of": "2 and 3"}')], ids=["cut", "text", "long"]
)
def test_an_answer_that_was_cut_off_teaches_nothing(reply: Reply) -> None:
    def cut_off(body: dict[str, Any]) -> Fault:
        choice = {"message": {"role": "assistant", "content": reply.text}, "finish_reason": "length"}
        return Fault(200, raw=json.dumps({"choices": [choice]}))

    with OpenAIServer([], faults=cut_off) as server:
        model = model_at(server)
        model.with_structured_output(SUM, method="json_schema", include_raw=True).invoke("x")
        assert model.capabilities == Capabilities()


def test_a_schema_that_was_not_sent_as_strict_teaches_nothing_about_strict_ones() -> None:
    with OpenAIServer(["five"]) as server:
        model = model_at(server)
        model.with_structured_output(Sum, method="json_schema", include_raw=True).invoke("x")
        assert model.capabilities == Capabilities()


DRAFT = '{"total": 4}'


@pytest.mark.parametrize(
    "text",
    [
        f"<think>Is it {DRAFT}? No.</think>" + '{"total": 5}',
        f"Is it {DRAFT}? No.\n</think>\n\n" + '{"total": 5}',
        f"<thinking>{DRAFT}</thinking>\n<thinking>no</thinking>\nSo:\n" + '```json\n{"total": 5}\n```',
        f"Let me see. <think>{DRAFT}</think> " + 'It is {"total": 5}.',
        'With {"a": 2, "b": 3} it is {"total": 5}.',
        ' {"total": 5}\n',
    ],
    ids=["thoughts", "thoughts without a beginning", "several thoughts", "thoughts later", "another object", "plain"],
)
@pytest.mark.parametrize("faults", [None, no_schema], ids=["schema", "words"])
def test_the_answer_is_found_among_thoughts_and_words(text: str, faults: Faults | None) -> None:
    with OpenAIServer([text], faults=faults) as server:
        asked = model_at(server).with_structured_output(SUM, method="json_schema", include_raw=True)
        assert asked.invoke("x")["parsed"] == {"total": 5}


def test_a_step_is_found_among_thoughts_and_other_objects() -> None:
    text = '<think>{"tool": "answer", "text": "4"}</think>Given {"a": 2}: {"tool": "add", "args": {"a": 2, "b": 3}}'
    with OpenAIServer([text]) as server:
        answer = model_at(server, tool_mode="json").bind_tools([add]).invoke("add 2 and 3")
    assert [made["args"] for made in answer.tool_calls] == [{"a": 2, "b": 3}]


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
    made = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 2, "b": 3}'}}
    history = [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "H"},
        {"role": "assistant", "content": None, "tool_calls": [made]},
        {"role": "tool", "content": "5", "tool_call_id": "c1"},
    ]
    _, _, step, result = in_words({"messages": history})["messages"]
    assert json.loads(step["content"]) == {"tool": "add", "args": {"a": 2, "b": 3}}
    assert "tool_calls" not in step
    assert result == {"role": "user", "content": "Result of add:\n5"}
