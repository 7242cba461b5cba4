"""Answers as endpoints send them: other content types, errors inside status 200, texts and fields in other places."""

import json
from collections.abc import Callable
from typing import Any

import openai
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from pydantic import SecretStr

from orchestrator.model_calls.truncation import truncated_by
from orchestrator.models.capabilities import KNOWN
from orchestrator.models.completions.answer import parsed
from orchestrator.models.endpoint import make_endpoint
from orchestrator.models.errors import is_refusal, is_transient
from orchestrator.models.settings import ModelSettings
from orchestrator.testing import Fault, OpenAIServer, Reply

ADD = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


@pytest.fixture(autouse=True)
def _nothing_known() -> None:
    KNOWN.clear()


def invoke(model: Any, asked: Any, **kwargs: Any) -> AIMessage:
    answer: AIMessage = model.invoke(asked, **kwargs)
    return answer


def stream(model: Any, asked: Any, **kwargs: Any) -> AIMessage:
    first, *rest = model.stream(asked, **kwargs)
    for chunk in rest:
        first = first + chunk
    answer: AIMessage = first
    return answer


Ask = Callable[..., AIMessage]
BOTH = pytest.mark.parametrize("ask", [invoke, stream])


def model_at(server: OpenAIServer) -> Any:
    return make_endpoint("m", server.base_url, SecretStr("k"), ModelSettings(max_retries=0))


def message(text: Any = None, finish: str = "stop", **fields: Any) -> dict[str, Any]:
    told = {"role": "assistant", "content": text, **fields}
    return {"choices": [{"index": 0, "message": told, "finish_reason": finish}], "usage": USAGE}


def events(*deltas: dict[str, Any], finish: str = "stop") -> str:
    chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}], "usage": USAGE})
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


def answering(*raws: str, kind: str = "application/json") -> OpenAIServer:
    faults = [Fault(200, raw=raw, headers=(("Content-Type", kind),)) for raw in raws]
    return OpenAIServer(lambda _: Reply("unused"), faults=faults)


@BOTH
@pytest.mark.parametrize(
    "kind", ["text/plain", "application/octet-stream", "text/html", "application/problem+json", ""]
)
@pytest.mark.parametrize("before", ["", "\ufeff", "\r\n  "], ids=["plain", "BOM", "space"])
def test_what_parses_as_a_completion_is_one(ask: Ask, kind: str, before: str) -> None:
    with answering(before + json.dumps(message("done")), kind=kind) as server:
        answer = ask(model_at(server), "x")
    assert (answer.text, answer.usage_metadata["total_tokens"]) == ("done", 10)  # type: ignore[index]


@BOTH
@pytest.mark.parametrize("kind", ["text/event-stream", "application/json"])
def test_a_stream_that_nobody_asked_for_is_read(ask: Ask, kind: str) -> None:
    with answering(events({"content": "do"}, {"content": "ne"}), kind=kind) as server:
        answer = ask(model_at(server), "x", response_format={"type": "text"})
    assert (answer.text, answer.response_metadata["finish_reason"]) == ("done", "stop")
    assert answer.usage_metadata["total_tokens"] == 10  # type: ignore[index]


@BOTH
@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": {"message": "slow down", "code": 429}}, 429),
        ({"error": {"message": "slow down", "code": "429"}, "choices": None}, 429),
        ({"error": {"message": "slow down", "type": "rate_limit_error"}}, 429),
        ({"code": 503, "message": "slow down"}, 503),
        ([{"error": {"message": "slow down", "code": 503, "status": "UNAVAILABLE"}}], 503),
        ({"object": "error", "message": "slow down", "code": 400}, 400),
        ({"choices": [{"index": 0, "error": {"message": "slow down", "code": 502}, "finish_reason": "error"}]}, 502),
        ({"error": "slow down"}, 500),
        ({"detail": "slow down"}, 500),
        ({"result": None, "success": False, "errors": [{"code": 7009, "message": "slow down"}]}, 500),
        ({"choices": None, "base_resp": {"status_code": 1002, "status_msg": "rate limit, slow down"}}, 429),
        ({"error": "slow down: stream is unsupported"}, 400),
    ],
)
def test_an_error_inside_status_200_is_that_status(ask: Ask, body: Any, status: int) -> None:
    with (
        OpenAIServer([], faults=lambda _: Fault(200, raw=json.dumps(body))) as server,
        pytest.raises(openai.APIStatusError, match="slow down") as raised,
    ):
        ask(model_at(server), "x")
    assert raised.value.status_code == status
    assert is_transient(raised.value) == (status != 400)
    assert is_refusal(raised.value) == (status == 400)


def test_bytes_that_are_no_characters_are_no_failure() -> None:
    raw = json.dumps(message("h\u00f6he"), ensure_ascii=False).encode("latin-1")
    assert parsed(raw)["choices"][0]["message"]["content"] == "h\ufffdhe"  # type: ignore[index]


@pytest.mark.parametrize(
    ("usage", "total"),
    [
        ({"input_tokens": 7, "output_tokens": 3}, 10),
        ({"prompt_tokens": "7", "completion_tokens": "3", "total_tokens": "10"}, 10),
        ({"prompt_tokens": 7.0, "completion_tokens": 3.0}, 10),
        ({"prompt_tokens": 7, "total_tokens": 10}, 10),
        ({"prompt_tokens": 7}, None),
        ({"completion_tokens": 3, "total_tokens": 3}, None),
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, None),
        ({"prompt_tokens": "many", "completion_tokens": 3}, None),
        ({"prompt_tokens": 7, "completion_tokens": -3}, None),
        ({}, None),
    ],
)
def test_half_a_usage_is_none_and_other_forms_of_one_count(usage: dict[str, Any], total: int | None) -> None:
    with answering(json.dumps(message("done") | {"usage": usage})) as server:
        told = model_at(server).invoke("x").usage_metadata
    assert (told or {}).get("total_tokens") == total


@BOTH
@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_a_text_in_the_field_of_thoughts_alone_is_the_answer(ask: Ask, field: str) -> None:
    raw = json.dumps(message(None, **{field: "done"})) if ask is invoke else events({field: "do"}, {field: "ne"})
    with answering(raw) as server:
        assert ask(model_at(server), "x").text == "done"


@BOTH
def test_thoughts_beside_an_answer_or_cut_off_are_no_answer(ask: Ask) -> None:
    beside, cut = {"reasoning_content": "hm", "content": "done"}, {"reasoning_content": "hm"}
    raws = (
        [
            json.dumps(message("done", reasoning_content="hm")),
            json.dumps(message(None, "length", reasoning_content="hm")),
        ]
        if ask is invoke
        else [events(beside), events(cut, finish="length")]
    )
    with answering(*raws) as server:
        model = model_at(server)
        assert [ask(model, "x").text, ask(model, "x").text] == ["done", ""]


@pytest.mark.parametrize("word", ["error", "abort", "insufficient_system_resource", "model_length", "RECITATION"])
def test_an_answer_that_ends_where_something_went_wrong_is_cut_off(word: str) -> None:
    with answering(json.dumps(message("half", word))) as server:
        assert truncated_by(model_at(server).invoke("x"))


@pytest.mark.parametrize("word", ["stop", "tool_calls", "eos", "end_turn", "STOP", "", None])
def test_an_answer_that_ends_by_itself_is_whole(word: str | None) -> None:
    with answering(json.dumps(message("whole", word))) as server:  # type: ignore[arg-type]
        assert truncated_by(model_at(server).invoke("x")) == ""


SIGNED = {
    "id": "c1",
    "type": "function",
    "function": {"name": "add", "arguments": "{}"},
    "extra_content": {"sig": "ab"},
}


@BOTH
def test_unknown_fields_come_back_to_the_endpoint_that_sent_them_and_to_no_other(ask: Ask) -> None:
    raw = (
        json.dumps(message(None, "tool_calls", reasoning_content="hm so", tool_calls=[SIGNED], refusal=None))
        if ask is invoke
        else events(
            {"reasoning_content": "hm "},
            {"reasoning_content": "so"},
            {"tool_calls": [{**SIGNED, "index": 0}]},
            finish="tool_calls",
        )
    )
    with answering(raw) as server, OpenAIServer(lambda _: Reply("other")) as other:
        called = ask(model_at(server), "x", tools=[ADD])
        assert called.text == ""
        history = [HumanMessage("x"), called, ToolMessage("5", tool_call_id="c1")]
        for at in (server, other):
            model_at(at).invoke(history, tools=[ADD])
        back, elsewhere = server.bodies[-1]["messages"][1], other.bodies[-1]["messages"][1]
    assert back["reasoning_content"] == "hm so"
    assert back["tool_calls"] == [SIGNED]
    assert "refusal" not in back
    assert "reasoning_content" not in elsewhere
    assert set(elsewhere["tool_calls"][0]) == {"id", "type", "function"}


@BOTH
def test_an_endpoint_that_refuses_its_own_fields_is_sent_none(ask: Ask) -> None:
    def faults(body: dict[str, Any]) -> Fault | None:
        told = "messages.1: reasoning_content is not allowed in the input"
        return Fault(400, told) if "reasoning_content" in str(body["messages"]) else None

    with OpenAIServer(lambda _: Reply("done"), faults=faults) as server:
        said = AIMessage("so", additional_kwargs={})
        model = model_at(server)
        said.additional_kwargs["endpoint_fields"] = {
            "endpoint": f"{server.base_url} m",
            "message": {"reasoning_content": "hm"},
            "calls": {},
        }
        for _ in range(2):
            assert ask(model, [HumanMessage("x"), said, HumanMessage("y")]).text == "done"
        assert ["reasoning_content" in str(body) for body in server.bodies] == [True, False, False]
