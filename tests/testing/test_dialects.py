"""The server's dialects: each refuses what it says it refuses, and answers what a plain server answers in its way."""

import json
import urllib.error
import urllib.request
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.testing import Dialect, OpenAIServer, Quirk, Refusal, Reply, Streaming, Window, call, say
from orchestrator.testing.dialects import calls, conditions, errors, quirks
from orchestrator.testing.dialects import message_conditions as messages
from orchestrator.testing.dialects.asking import reply_in_form, request_of
from orchestrator.testing.dialects.catalogue import DIALECTS, SERVERS
from orchestrator.testing.script import Request

TOOL = {"type": "function", "function": {"name": "level", "strict": True, "parameters": {
    "type": "object", "title": "Level", "properties": {"lake": {"anyOf": [{"const": "Onda"}], "default": "Onda"}},
    "additionalProperties": False,
}}}  # fmt: skip
SCHEMA = {"type": "json_schema", "json_schema": {"name": "Plan", "strict": True, "schema": {"anyOf": [{}]}}}
ASKS: Any = {"role": "user", "content": "How high is Onda?"}
CALLED: Any = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "call_0123456789", "function": {"name": "level", "arguments": "{}"}}],
}
TOLD: Any = {"role": "tool", "tool_call_id": "call_0123456789", "content": "412 m"}


def body(*of_messages: Any, **parameters: Any) -> dict[str, Any]:
    return {"model": "m", "messages": list(of_messages or (ASKS,)), **parameters}


# Each has much that some server refuses.
NAIVE = [
    body(tools=[TOOL], tool_choice="required", parallel_tool_calls=True, temperature=0.2, stop=["x"]),
    body(tools=[TOOL], tool_choice={"type": "function"}, response_format=SCHEMA, max_tokens=90_000, stream=True),
    body(response_format={"type": "json_object"}, max_completion_tokens=5, stream_options={}, seed=1),
    body({"role": "system", "content": "x", "name": "a"}, ASKS, ASKS, {**ASKS, "reasoning_content": "x"}),
    body(ASKS, {"role": "developer", "content": " "}, {"role": "system", "content": [{}]}),
    body(ASKS, CALLED, TOLD, ASKS),
    body(ASKS, {**CALLED, "content": "x"}, TOLD, {"role": "system", "content": "x"}),
    body(ASKS, {**CALLED, "tool_calls": CALLED["tool_calls"] * 2}, ASKS),
    body(ASKS, {"role": "assistant", "name": "a", "tool_calls": [{"id": "1", "function": {"arguments": "{"}}]}),
    body({"role": "assistant", "content": "x"}),
    body({"role": "system", "content": "x"}),
    body({"role": "system", "content": "x"}, {"role": "system", "content": "y"}, ASKS),
]


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_each_refusal_can_be_met(dialect: Dialect) -> None:
    for refusal in dialect.refusals:
        assert any(refusal.when(naive) is not None for naive in NAIVE), refusal.message


def test_the_servers_are_more_than_their_names() -> None:
    assert len(SERVERS) == len({id(dialect) for dialect in SERVERS.values()}) > 25
    assert not [
        one.name for one in SERVERS.values() if replace(one, name="", model="", source="") == Dialect("", model="")
    ]


@pytest.mark.parametrize(
    ("condition", "meant", "other"),
    [
        (conditions.parameter("seed"), body(seed=1), body(seed=None)),
        (conditions.parameter_beyond("model", "messages"), body(seed=1), body()),
        (conditions.option("stream", True), body(stream=True), body(stream=False)),
        (conditions.without(conditions.parameter("seed")), body(), body(seed=1)),
        (conditions.all_of(conditions.not_streamed, conditions.parameter("seed")), body(seed=1), body()),
        (conditions.format_with_tools, body(tools=[TOOL], response_format=SCHEMA), body(response_format=SCHEMA)),
        (conditions.schema_word("default"), body(tools=[TOOL]), body(response_format=SCHEMA)),
        (conditions.schema_word("lake"), body(tools=[{"function": {"parameters": {"lake": 1}}}]), body(tools=[TOOL])),
        (conditions.json_unnamed, body(response_format={"type": "json_object"}), body(response_format=SCHEMA)),
        (conditions.unanswered_call, body(ASKS, CALLED, ASKS), body(ASKS, CALLED, TOLD)),
        (conditions.unanswered_call, body(ASKS, TOLD), body(ASKS, CALLED, TOLD, ASKS)),
        (conditions.call_id_other_than("[a-z]+"), body(ASKS, CALLED, TOLD), body()),
        (conditions.too_long(5), body(max_tokens=2), body(max_tokens=1)),
        (messages.out_of_turn, body(ASKS, CALLED, TOLD, ASKS), body(ASKS, CALLED, TOLD)),
        (messages.strictly_out_of_turn, body(ASKS, CALLED, TOLD), body(ASKS)),
        (messages.successive("user"), body(ASKS, ASKS), body(ASKS, CALLED, TOLD, TOLD)),
        (messages.sequence("tool", "user"), body(ASKS, CALLED, TOLD, ASKS), body(ASKS, CALLED, TOLD)),
        (messages.system_later, body(ASKS, {"role": "system"}), body({"role": "system"}, ASKS)),
        (messages.null_content("assistant"), body(ASKS, CALLED), body({"role": "user"})),
        (messages.calls_without("thought"), body(ASKS, CALLED), body(ASKS, {**CALLED, "thought": "x"})),
        (messages.message_field_beyond("role", "content"), body({**ASKS, "name": "a"}), body(ASKS)),
    ],
)  # fmt: skip
def test_a_condition_finds_what_it_is_named_after(condition: Any, meant: Any, other: Any) -> None:
    assert condition(meant) is not None
    assert condition(other) is None


def post(server: OpenAIServer, asked: dict[str, Any]) -> tuple[int, str, str]:
    request = urllib.request.Request(f"{server.base_url}/chat/completions", json.dumps(asked).encode())
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode()


def streamed(text: str) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        (errors.flat, '"message": "no seed here: 7"'),
        (errors.plain, '{"error": "no seed here: 7"}'),
        (errors.detail, '{"detail": "no seed here: 7"}'),
        (errors.in_list, '[{"error": {"code": 422'),
        (errors.beside_code, '"error": "no seed here: 7"'),
        (errors.of_provider("Heron", errors.plain), r'"raw": "{\"error\": \"no seed here: 7\"}"'),
        (errors.text, "no seed here: 7"),
        (errors.html, "<p>no seed here: 7</p>"),
    ],
)
def test_a_refusal_has_the_status_the_words_and_the_shape_of_its_server(shape: Any, told: str) -> None:
    refusal = Refusal(conditions.parameter("seed"), "no {parameter} here: {value}", 422)
    with OpenAIServer(["hi"], dialect=Dialect("mine", (refusal,), error=shape)) as server:
        status, _, text = post(server, body(seed=7))
        assert (status, told in text) == (422, True), text
        assert post(server, body())[0] == 200
        assert [each.body for each in server.refused] == [body(seed=7)]


def test_a_failure_that_passes_is_met_so_many_times() -> None:
    loading = Refusal(conditions.always, "Loading model", 503, times=2)
    with OpenAIServer(["hi"], dialect=Dialect("mine", (loading,))) as server:
        assert [post(server, body())[0] for _ in range(3)] == [503, 503, 200]


def test_an_error_can_stand_in_an_answer_that_says_200() -> None:
    def answer(place: Any, **parameters: Any) -> str:
        refusal = Refusal(conditions.always, "slow down", 429, {"code": 429}, place=place)
        with OpenAIServer([], dialect=Dialect("mine", (refusal,))) as server:
            status, _, text = post(server, body(**parameters))
        assert status == 200
        return text

    assert json.loads(answer("body"))["error"]["code"] == 429
    assert json.loads(answer("choice"))["choices"][0]["error"]["code"] == 429
    first, *_, last = streamed(answer("stream", stream=True))
    assert "choices" in first
    assert last["error"]["message"] == "slow down"


def test_a_window_is_told_in_the_list_and_in_a_refusal_with_its_numbers() -> None:
    refusal = Refusal(conditions.always, "{prompt} and {limit} are more than {window}")
    window = Window(10, refusal, "meta.n_ctx")
    with OpenAIServer(["hi"], dialect=Dialect("mine", model="m1", window=window)) as server:
        with urllib.request.urlopen(f"{server.base_url}/models") as answer:
            [model] = json.load(answer)["data"]
        assert (model["id"], model["meta"]) == ("m1", {"n_ctx": 10})
        assert "4 and 9 are more than 10" in post(server, body(max_tokens=9))[2]
        assert post(server, body(max_tokens=6))[0] == 200


@pytest.mark.parametrize("reply", [say("forty two herons"), call("level", lake="Onda")])
@pytest.mark.parametrize("arguments", ["whole", "pieces"])
def test_a_stream_has_what_the_whole_answer_has(reply: Reply, arguments: Any) -> None:
    streaming = Streaming(arguments=arguments, usage_in="finish", before=(": hello",), every={"x": 1})
    dialect = Dialect("mine", answer=quirks.each(quirks.thoughts_in("reasoning")), streaming=streaming)
    with OpenAIServer([reply, reply], dialect=dialect) as server:
        whole = json.loads(post(server, body())[2])
        _, kind, text = post(server, body(stream=True))
    assert kind == "text/event-stream"
    assert text.startswith(": hello\n\n")
    chunks = streamed(text)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    message = whole["choices"][0]["message"]
    assert "".join(delta.get("content") or "" for delta in deltas) == (message["content"] or "")
    assert "".join(delta.get("reasoning") or "" for delta in deltas) == quirks.THOUGHT == message["reasoning"]
    pieces = [piece["function"] for delta in deltas for piece in delta.get("tool_calls", ())]
    given = "".join(one["function"]["arguments"] for one in message.get("tool_calls", ()))
    assert "".join(piece["arguments"] for piece in pieces) == given
    assert chunks[-1]["usage"] == whole["usage"]
    assert all(chunk["x"] == 1 for chunk in chunks)


def test_a_quirk_changes_so_many_answers_and_those_that_it_is_for() -> None:
    quirk = Quirk(quirks.text_in("reasoning"), times=1, when=conditions.parameter("seed"))
    with OpenAIServer(["hi"] * 3, dialect=Dialect("mine", answer=(quirk,))) as server:
        texts = [json.loads(post(server, asked)[2]) for asked in (body(), body(seed=1), body(seed=1))]
    assert [text["choices"][0]["message"]["content"] for text in texts] == ["hi", None, "hi"]


def test_calls_can_stand_in_the_text() -> None:
    with OpenAIServer([call("level", lake="Onda")], dialect=DIALECTS["calls in text: hermes"]) as server:
        [choice] = json.loads(post(server, body())[2])["choices"]
    assert choice["finish_reason"] == "stop"
    assert "tool_calls" not in choice["message"]
    assert choice["message"]["content"] == calls.hermes([("level", {"lake": "Onda"})])


def test_bytes_and_types_are_those_of_the_dialect() -> None:
    with OpenAIServer(["hi"], dialect=DIALECTS["byte order mark"]) as server:
        assert post(server, body())[2].startswith("\ufeff{")
    with OpenAIServer(["hi"], dialect=DIALECTS["json as octets"]) as server:
        assert post(server, body())[1] == "application/octet-stream"
    with OpenAIServer(["hi"], dialect=DIALECTS["always streams"]) as server:
        assert "data: [DONE]" in post(server, body())[2]


def test_a_schema_in_words_and_a_step_of_json_are_understood_as_a_model_would() -> None:
    plain = Request((("user", "x"),))
    words = 'Answer with JSON of {"type": "object", "properties": {"sub_tasks": {}}} please'
    assert request_of(body({"role": "user", "content": words}), plain).title == "Plan"
    alternatives = [
        {"properties": {"tool": {"const": "level"}, "args": {}}},
        {"properties": {"tool": {"const": "answer"}, "text": {"title": "Verdict", "properties": {}}}},
    ]
    step = body(response_format={"json_schema": {"name": "Step", "schema": {"anyOf": alternatives}}})
    request = request_of(step, plain)
    assert (request.tools, request.title) == (("level",), "Verdict")
    assert json.loads(reply_in_form(call("level", lake="Onda"), step).text) == {
        "tool": "level",
        "args": {"lake": "Onda"},
    }
    assert json.loads(reply_in_form(say("forty two"), step).text) == {"tool": "answer", "text": "forty two"}
