"""Streams of endpoints, however they send them: the same answer, tool calls and usage as without a stream."""

import asyncio
import itertools
import json
from collections.abc import Callable
from typing import Any

import openai
import pytest
from langchain_core.messages import AIMessage, AIMessageChunk

from orchestrator.models.capabilities import KNOWN
from orchestrator.models.errors import cost_nothing, is_transient
from orchestrator.models.factory import chat_model
from orchestrator.models.settings import ModelSettings
from orchestrator.testing import Fault, OpenAIServer, Reply, Request, call

TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}]
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
_names = itertools.count()


def model_of(server: OpenAIServer) -> Any:
    # What is learned of an endpoint is kept by address and name, and ports are used again.
    return chat_model(ModelSettings(base_url=server.base_url, model=f"m{next(_names)}", max_retries=0))


def joined(chunks: list[Any]) -> AIMessageChunk:
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk
    assert isinstance(whole, AIMessageChunk)
    return whole


def stream(model: Any, **kwargs: Any) -> AIMessageChunk:
    return joined(list(model.stream("x", **kwargs)))


def astream(model: Any, **kwargs: Any) -> AIMessageChunk:
    async def read() -> list[Any]:
        return [chunk async for chunk in model.astream("x", **kwargs)]

    return joined(asyncio.run(read()))


BOTH = pytest.mark.parametrize("ask", [stream, astream], ids=["threads", "event loop"])
Ask = Callable[..., AIMessageChunk]


def events(*chunks: dict[str, Any] | str, end: str = "data: [DONE]\n\n") -> Fault:
    texts = [each if isinstance(each, str) else json.dumps(each) for each in chunks]
    body = "".join(f"{'' if text.startswith(':') else 'data: '}{text}\n\n" for text in texts)
    return Fault(200, raw=body + end)


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def piece(index: int | None, id: str | None = None, **function: Any) -> dict[str, Any]:
    fields = {"index": index, "id": id, "function": function}
    return {name: value for name, value in fields.items() if value is not None}


def sent(*chunks: Any, **options: Any) -> OpenAIServer:
    return OpenAIServer(lambda _: Reply("unused"), faults=[events(*chunks, **options)])


@BOTH
@pytest.mark.parametrize("usage_in", ["last", "every"])
def test_an_answer_and_its_usage_are_the_same_as_without_a_stream(ask: Ask, usage_in: Any) -> None:
    with OpenAIServer(lambda _: Reply("one two three"), usage_in=usage_in) as server:
        model = model_of(server)
        streamed, whole = ask(model), model.invoke("x")
        assert streamed.text == whole.text == "one two three"
        assert streamed.usage_metadata["total_tokens"] == whole.usage_metadata["total_tokens"] == 4  # type: ignore[index]
        assert streamed.response_metadata["finish_reason"] == "stop"
        assert server.bodies[0]["stream_options"] == {"include_usage": True}
        assert "stream" not in server.bodies[1]


@BOTH
def test_tool_calls_are_the_same_as_without_a_stream(ask: Ask) -> None:
    with OpenAIServer(lambda _: Reply("I add", calls=(("add", {"x": 1}), ("add", {"x": 2})))) as server:
        model = model_of(server)
        streamed, whole = ask(model, tools=TOOLS), model.invoke("x", tools=TOOLS)
        assert streamed.tool_calls == whole.tool_calls
        assert len(streamed.tool_calls) == 2


@BOTH
def test_an_endpoint_that_ignores_the_stream_is_understood_and_remembered(ask: Ask) -> None:
    with OpenAIServer(lambda _: Reply("one two"), streams=False) as server:
        model = model_of(server)
        assert [ask(model).text, ask(model).text] == ["one two", "one two"]
        assert ["stream" in body for body in server.bodies] == [True, False]


@BOTH
@pytest.mark.parametrize(
    ("status", "message", "requests"),
    [
        (400, "Streaming is not supported by this model", [2, 1, 1]),
        (501, "not implemented", [3, 2, 1]),
        (422, "extra inputs are not permitted", [3, 2, 1]),
    ],
    ids=["its words", "other words", "other words too"],
)
def test_an_endpoint_that_refuses_to_stream_is_asked_without_once_it_is_certain(
    ask: Ask, status: int, message: str, requests: list[int]
) -> None:
    def faults(body: dict[str, Any]) -> Fault | None:
        return Fault(status, message) if body.get("stream") else None

    with OpenAIServer(lambda _: Reply("one two"), faults=faults) as server:
        model = model_of(server)
        for needed in requests:
            before = len(server.bodies)
            assert ask(model).text == "one two"
            assert len(server.bodies) - before == needed


@BOTH
def test_a_refusal_of_the_request_itself_says_nothing_against_streams(ask: Ask) -> None:
    with OpenAIServer(lambda _: Reply("one"), faults=[Fault(400, "too long")]) as server:
        model = model_of(server)
        with pytest.raises(openai.BadRequestError, match="too long"):
            ask(model)
        assert ask(model).text == "one"
        assert [bool(body.get("stream")) for body in server.bodies] == [True, True]


@BOTH
def test_an_endpoint_that_refuses_to_report_usage_streams_without(ask: Ask) -> None:
    def faults(body: dict[str, Any]) -> Fault | None:
        return Fault(400, "unknown field: stream_options") if "stream_options" in body else None

    with OpenAIServer(lambda _: Reply("one two"), faults=faults) as server:
        model = model_of(server)
        assert ask(model).text == ask(model).text == "one two"
        assert [body.get("stream") for body in server.bodies] == [True, True, True]
        assert ask(model).usage_metadata is None


@BOTH
@pytest.mark.parametrize(
    ("chunks", "told"),
    [
        ([delta(content="one"), delta("stop")], "one"),
        ([delta(content="one"), delta("stop", content=" two"), {"choices": [], "usage": USAGE}], "one two"),
        ([{"choices": [], "prompt_filter_results": []}, delta(role="", content="one"), delta("stop")], "one"),
        ([delta(content="one"), {"choices": None}, {"choices": [{"index": 0, "delta": None}]}, delta("stop")], "one"),
        ([delta(content=[{"type": "thinking"}, {"type": "text", "text": "one"}]), delta("stop")], "one"),
        ([{"choices": [{"index": 0, "message": {"content": "one"}, "finish_reason": "stop"}]}], "one"),
        ([delta(reasoning_content="hm"), delta(content="one"), delta("stop")], "one"),
        ([json.dumps(delta(content="a\u2028b\x85c"), ensure_ascii=False), delta("stop")], "a\u2028b\x85c"),
        ([delta("stop", content="one"), delta("stop"), delta("stop")], "one"),
        ([": ping", delta(content="one"), delta("stop")], "one"),
        ([delta(content="one"), {"choices": [{"index": 1, "delta": {"content": "other"}}]}, delta("stop")], "one"),
        ([{"result": delta(content="one")}, {"code": 0, "message": "success", "data": delta("stop")}], "one"),
        ([{"choices": {"index": 0, "delta": {"content": "one"}}}, delta("stop")], "one"),
    ],
    ids=[
        "plain",
        "usage",
        "filter",
        "nulls",
        "blocks",
        "message",
        "reasoning",
        "line ends",
        "finish",
        "comment",
        "second answer",
        "wrapped",
        "no list",
    ],
)
def test_deviations_of_endpoints_are_put_right(ask: Ask, chunks: list[Any], told: str) -> None:
    with sent(*chunks) as server:
        answer = ask(model_of(server))
    assert answer.text == told
    assert answer.response_metadata["finish_reason"] == "stop"


@BOTH
@pytest.mark.parametrize(
    "pieces",
    [
        [
            {"index": 0, "id": "c1", "function": {"name": "add", "arguments": ""}},
            {"index": 0, "function": {"arguments": "{}"}},
        ],
        [{"id": "c1", "function": {"name": "add", "arguments": "{}"}}],
        [{"id": "c1", "function": {"name": "add", "arguments": {}}}],
        [
            {"index": 0, "id": "c1", "function": {"name": "add", "arguments": "{"}},
            {"index": 0, "id": "c1", "function": {"name": "add", "arguments": "}"}},
        ],
        [
            {"index": 0, "id": "c1", "function": {"name": "add"}},
            {"index": 0, "id": "", "function": {"name": "", "arguments": "{}"}},
        ],
        [{"id": "c1", "function": {"name": "add"}}, {"function": {"arguments": "{}"}}],
    ],
    ids=["usual", "no index", "object", "repeated", "empty", "no index in pieces"],
)
def test_pieces_of_a_tool_call_are_joined(ask: Ask, pieces: list[Any]) -> None:
    with sent(*(delta(tool_calls=[piece]) for piece in pieces), delta("tool_calls")) as server:
        answer = ask(model_of(server), tools=TOOLS)
    assert [(each["name"], each["args"], each["id"]) for each in answer.tool_calls] == [("add", {}, "c1")]


@pytest.mark.parametrize(
    "pieces",
    [
        [piece(None, "c1", name="add", arguments='{"x": 1}'), piece(None, "c2", name="add", arguments='{"x": 2}')],
        [piece(1, "c1", name="add", arguments='{"x": 1}'), piece(2, "c2", name="add", arguments='{"x": 2}')],
        [piece(0, "c1", name="add", arguments='{"x": 1}'), piece(0, "c2", name="add", arguments='{"x": 2}')],
        [
            *(piece(0, "c1", name="add", arguments=""), piece(0, arguments='{"x":'), piece(0, arguments=" 1}")),
            *(piece(0, "c2", name="add", arguments=""), piece(0, arguments='{"x": 2}')),
        ],
        [
            *(piece(None, "c1", name="add", arguments=""), piece(None, "c2", name="add", arguments="")),
            *(piece(None, "c1", arguments='{"x": 1}'), piece(None, "c2", arguments='{"x": 2}')),
        ],
    ],
    ids=["no numbers", "from 1", "one number", "one number in pieces", "by id"],
)
def test_two_calls_stay_two(pieces: list[Any]) -> None:
    with sent(*(delta(tool_calls=[each]) for each in pieces), delta("stop")) as server:
        answer = stream(model_of(server), tools=TOOLS)
    assert [(each["id"], each["args"]) for each in answer.tool_calls] == [("c1", {"x": 1}), ("c2", {"x": 2})]


@BOTH
@pytest.mark.parametrize(
    "fault",
    [
        events(delta(content="one"), end=""),
        events(delta(content="one"), end='data: {"choices": [{"ind'),
        events(delta(content="one"), {"error": {"message": "it crashed"}}, end=""),
        events(delta(content="one"), {"error": {"message": "slow down", "code": 429}}, end=""),
        events({"error": "it is broken"}, end=""),
    ],
    ids=["no end", "inside an event", "error", "error with a code", "error at once"],
)
def test_an_answer_that_breaks_off_is_worth_another_try_and_was_paid(ask: Ask, fault: Fault) -> None:
    with (
        OpenAIServer(lambda _: Reply("unused"), faults=[fault]) as server,
        pytest.raises(openai.APIError) as raised,
    ):
        ask(model_of(server))
    assert is_transient(raised.value)
    assert not cost_nothing(raised.value)


@BOTH
def test_a_lost_connection_is_worth_another_try_and_was_paid(ask: Ask) -> None:
    with (
        OpenAIServer(lambda _: Reply("one two three", breaks_after=2)) as server,
        pytest.raises(openai.APIConnectionError, match="broke off") as raised,
    ):
        ask(model_of(server))
    assert is_transient(raised.value)
    assert not cost_nothing(raised.value)


@BOTH
def test_a_body_that_cannot_be_unpacked_is_a_lost_connection(ask: Ask) -> None:
    broken = Fault(200, message="", headers=(("Content-Encoding", "gzip"),), raw="plain, whatever the header says")
    with (
        OpenAIServer(lambda _: Reply("unused"), faults=[broken]) as server,
        pytest.raises(openai.APIConnectionError, match="broke off") as raised,
    ):
        ask(model_of(server))
    assert is_transient(raised.value)


def test_an_endpoint_whose_streams_always_break_off_is_asked_without() -> None:
    faults = [events(delta(content="one"), end="")] * 2
    with OpenAIServer(lambda _: Reply("one two"), faults=faults) as server:
        model = model_of(server)
        for _ in faults:
            with pytest.raises(openai.APIConnectionError):
                stream(model)
        assert stream(model).text == "one two"
        assert "stream" not in server.bodies[-1]


@BOTH
@pytest.mark.parametrize("raw", ["", "<html>gateway</html>", "data: {]\n\ndata: x\n\n", 'data: ["x"]\n\n', "{}", "[]"])
def test_what_is_no_chat_completion_says_so(ask: Ask, raw: str) -> None:
    with (
        OpenAIServer(lambda _: Reply("unused"), faults=[Fault(200, raw=raw)]) as server,
        pytest.raises(openai.APIError, match="no chat completion"),
    ):
        ask(model_of(server))


@BOTH
def test_an_error_at_once_with_a_code_is_that_status(ask: Ask) -> None:
    with (
        sent({"error": {"message": "sk-abcdefghijk123 is wrong", "code": 401}}, end="") as server,
        pytest.raises(openai.APIStatusError, match=r"\*\*\* is wrong") as raised,
    ):
        ask(model_of(server))
    assert raised.value.status_code == 401
    assert cost_nothing(raised.value)


@BOTH
def test_tool_calls_in_json_come_whole(ask: Ask) -> None:
    def script(request: Request) -> Reply:
        return Reply(json.dumps({"tool_calls": [{"name": "add", "arguments": {}}]}))

    with OpenAIServer(script) as server:
        model = model_of(server).model_copy(update={"tool_mode": "json"})
        ask(model, tools=TOOLS)
        assert "stream" not in server.bodies[0]


def test_a_history_with_tool_calls_is_rendered_for_endpoints_without_tools() -> None:
    with OpenAIServer(lambda _: Reply("one")) as server:
        model = model_of(server).model_copy(update={"tool_mode": "json"})
        history = [
            ("user", "x"),
            AIMessage("", tool_calls=[{"name": "add", "args": {}, "id": "c", "type": "tool_call"}]),
        ]
        assert joined(list(model.stream(history))).text == "one"
        assert server.bodies[0]["stream"]
        assert not any("tool_calls" in message for message in server.bodies[0]["messages"])


def test_lessons_are_kept_for_each_endpoint() -> None:
    with OpenAIServer(lambda _: call("add"), streams=False) as server:
        model = model_of(server)
        stream(model)
        assert KNOWN[server.base_url, model.model_name].streams is False
