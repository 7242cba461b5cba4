"""Requests that an endpoint refuses: sent in other forms, and remembered, but only what has helped."""

import json
from collections.abc import Callable
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from pydantic import SecretStr

from orchestrator.models.capabilities import KNOWN, Capabilities
from orchestrator.models.endpoint import make_endpoint
from orchestrator.models.openai_compatible import AdaptiveChatOpenAI
from orchestrator.models.profile import ModelProfile
from orchestrator.models.requests import lessons
from orchestrator.models.requests.negotiation import Negotiation
from orchestrator.models.requests.refusal import Refusal
from orchestrator.models.settings import ModelSettings
from orchestrator.testing import Fault, OpenAIServer, Reply

ADD = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
HISTORY = [
    SystemMessage("S"),
    HumanMessage("one"),
    HumanMessage("two"),
    AIMessage("", tool_calls=[{"name": "add", "args": {}, "id": "call_1"}]),
    ToolMessage("5", tool_call_id="call_1"),
    HumanMessage("three"),
]
Faults = Callable[[dict[str, Any]], Fault | None]


@pytest.fixture(autouse=True)
def _nothing_known() -> None:
    KNOWN.clear()


def model_at(server: OpenAIServer, **more: Any) -> AdaptiveChatOpenAI:
    return make_endpoint("m", server.base_url, SecretStr("k"), ModelSettings(max_retries=0, **more))


def roles(body: dict[str, Any]) -> list[str]:
    return [message["role"] for message in body["messages"]]


REFUSED: dict[str, Callable[[dict[str, Any]], bool]] = {
    "system role": lambda body: "system" in roles(body),
    "neighbours of one role": lambda body: any(a == b for a, b in zip(roles(body), roles(body)[1:], strict=False)),
    "user behind tool": lambda body: "tool user" in " ".join(roles(body)),
    "content null": lambda body: any(message.get("content", "") is None for message in body["messages"]),
    "long ids": lambda body: "call_1" in json.dumps(body),
    "temperature": lambda body: "temperature" in body,
    "max_tokens": lambda body: "max_tokens" in body,
    "tools": lambda body: "tools" in body,
    "not a stream": lambda body: not body.get("stream"),
}


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("refused", REFUSED)
def test_whatever_is_refused_in_unknown_words_another_form_is_found(refused: str, status: int) -> None:
    def faults(body: dict[str, Any]) -> Fault | None:
        return Fault(status, "Bad Request") if REFUSED[refused](body) else None

    with OpenAIServer(lambda _: Reply("done"), faults=faults) as server:
        model = model_at(server, temperature=0.2)
        for _ in range(3):
            before = len(server.bodies)
            assert model.invoke(HISTORY, tools=[ADD], max_tokens=50).text == "done"
        assert len(server.bodies) - before == 1, "and at last the endpoint is asked so at once"


@given(refused=st.sets(st.sampled_from(sorted(set(REFUSED) - {"not a stream"})), max_size=3))
def test_several_refusals_with_reasons_of_their_own_are_answered_one_by_one(refused: set[str]) -> None:
    known = Capabilities()
    usual = {
        "model": "m",
        "temperature": 0.2,
        "max_tokens": 50,
        "tools": [ADD],
        "messages": [
            {"role": "system", "content": "S"},
            {"role": "user", "content": "one"},
            {"role": "user", "content": "two"},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1", "function": ADD["function"]}]},
            {"role": "tool", "content": "5", "tool_call_id": "call_1"},
            {"role": "user", "content": "three"},
        ],
    }
    negotiation = Negotiation(known, usual)
    while reason := next((name for name in sorted(refused) if REFUSED[name](negotiation.body)), None):
        assert negotiation.refused(Refusal(400, f"we refuse: {reason}")), reason
    negotiation.taken()
    needed = Negotiation(known, usual).body
    # Tools in words need no other form, and are not learned from one refusal in unknown words.
    assert "tools" in refused or not any(REFUSED[name](needed) for name in refused), "the lessons are kept"


def test_a_single_refusal_in_unknown_words_does_not_turn_off_native_tools_for_good() -> None:
    def faults(body: dict[str, Any]) -> Fault | None:
        return Fault(400, "Bad Request") if "tools" in body else None

    with OpenAIServer(lambda _: Reply("done"), faults=faults) as server:
        model = model_at(server)
        assert model.invoke("x", tools=[ADD]).text == "done"
        server.refuse(lambda _: None)
        assert model.invoke("x", tools=[ADD]).text == "done"
        assert ["tools" in body for body in server.bodies][-2:] == [False, True]


def test_what_helps_nothing_is_tried_once_and_the_first_refusal_is_told() -> None:
    refusals = iter(range(1000))
    with OpenAIServer([], faults=lambda _: Fault(400, f"we refuse request {next(refusals)}")) as server:
        model = model_at(server)
        for tries in (range(2, 32), range(1, 2)):
            before = len(server.bodies)
            with pytest.raises(openai.BadRequestError, match="we refuse request"):
                model.invoke(HISTORY, tools=[ADD])
            assert len(server.bodies) - before in tries
        assert model.capabilities == Capabilities()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(400, "API key not valid. Please pass a valid API key."),
        Fault(404, "The model `m` does not exist"),
        Fault(404, raw="404 page not found"),
        Fault(400, "The response was filtered due to the prompt triggering content management policy."),
        Fault(402, "Insufficient Balance"),
        Fault(500, "CUDA error"),
    ],
    ids=["key", "model", "path", "filter", "money", "server"],
)
def test_a_refusal_that_no_form_can_mend_costs_one_request(fault: Fault) -> None:
    with OpenAIServer([], faults=lambda _: fault) as server:
        with pytest.raises(openai.APIStatusError):
            model_at(server).invoke(HISTORY, tools=[ADD])
        assert len(server.bodies) == 1


@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 5100 tokens (1004 in the messages, "
        "4096 in the completion).",
        "'max_tokens' or 'max_completion_tokens' is too large: 4096. This model's maximum context length is 4096 "
        "tokens and your request has 1004 input tokens (4096 > 4096 - 1004).",
        "inputs tokens + max_new_tokens must be <= 4096. Given: 1004 inputs tokens and 4096 max_new_tokens",
    ],
    ids=["vLLM", "vLLM since 0.10", "TGI"],
)
def test_an_answer_that_does_not_fit_behind_the_prompt_is_asked_for_shorter(words: str) -> None:
    def faults(body: dict[str, Any]) -> Fault | None:
        return Fault(400, words) if body["max_tokens"] > 4096 - 1004 else None

    with OpenAIServer(lambda _: Reply("done"), faults=faults) as server:
        model = model_at(server)
        assert model.invoke("x", max_tokens=4096).text == "done"
        assert 2048 < server.bodies[-1]["max_tokens"] <= 3092
        assert model.capabilities.window == 4096


def test_once_the_window_is_known_an_answer_is_limited_to_what_the_prompt_leaves() -> None:
    def faults(body: dict[str, Any]) -> Fault | None:
        prompt = len(str(body["messages"])) // 4
        if prompt + body["max_tokens"] <= 4096:
            return None
        return Fault(400, f"context length is 4096 tokens and your request has {prompt} input tokens")

    with OpenAIServer(lambda _: Reply("done"), faults=faults) as server:
        model = model_at(server)
        for length in (10, 2000, 8000):
            assert model.invoke("x" * length, max_tokens=4096).text == "done"
        assert len(server.bodies) == 4, "the first request was refused, and no other"
        assert ModelProfile.of(model).window == 4096
        assert ModelProfile.of(model_at(server)).window == 4096, "and other objects of this model know it"
        assert model_at(server, window=2048).window == 2048


def test_several_things_that_are_refused_in_the_same_words_are_left_out_together_and_tools_stay() -> None:
    def faults(body: dict[str, Any]) -> Fault | None:
        is_meant = "temperature" in body or "parallel_tool_calls" in body or roles(body)[-1] != "user"
        return Fault(400, "Bad Request") if is_meant else None

    with OpenAIServer(lambda _: Reply("done"), faults=faults) as server:
        model = model_at(server, temperature=0.2)
        asked = [*HISTORY, AIMessage("and so")]
        assert model.invoke(asked, tools=[ADD], parallel_tool_calls=True, max_tokens=50).text == "done"
        assert "tools" in server.bodies[-1]


def test_results_in_words_stand_in_one_message_since_roles_may_have_to_alternate() -> None:
    calls = [{"name": "add", "args": {}, "id": f"call_{number}"} for number in (1, 2)]
    told = [ToolMessage(str(number), tool_call_id=f"call_{number}") for number in (1, 2)]

    def faults(body: dict[str, Any]) -> Fault | None:
        is_meant = "tools" in body or roles(body)[1:] != ["user", "assistant", "user"]
        return Fault(400, "Bad Request") if is_meant else None

    with OpenAIServer(lambda _: Reply('{"tool": "answer", "text": "done"}'), faults=faults) as server:
        asked = [SystemMessage("S"), HumanMessage("one"), AIMessage("", tool_calls=calls), *told]
        assert model_at(server).invoke(asked, tools=[ADD]).text == "done"


def test_a_call_that_the_endpoint_could_not_read_is_asked_for_again_and_teaches_nothing() -> None:
    unread = Fault(400, "Failed to call a function. Please adjust your prompt. See 'failed_generation'.")
    with OpenAIServer(lambda _: Reply("done"), faults=[unread]) as server:
        model = model_at(server, temperature=0.2)
        assert model.invoke("x", tools=[ADD]).text == "done"
        assert server.bodies[0] == server.bodies[1]
        assert not model.capabilities.learned()


def test_the_longest_answer_of_an_endpoint_is_learned() -> None:
    def faults(body: dict[str, Any]) -> Fault | None:
        told = "Invalid max_tokens value, the valid range of max_tokens is [1, 100]"
        return Fault(400, told) if body["max_tokens"] > 100 else None

    with OpenAIServer(lambda _: Reply("done"), faults=faults) as server:
        for _ in range(2):
            assert model_at(server).invoke("x", max_tokens=4096).text == "done"
        assert [body["max_tokens"] for body in server.bodies] == [4096, 100, 100]


def test_lessons_are_kept_for_the_next_process_and_forgotten_after_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    def faults(body: dict[str, Any]) -> Fault | None:
        return Fault(400, "Unsupported value: 'temperature'") if "temperature" in body else None

    def ask(server: OpenAIServer) -> int:
        KNOWN.clear()  # as in another process
        before = len(server.bodies)
        model_at(server, temperature=0.2).invoke("x")
        return len(server.bodies) - before

    with OpenAIServer(lambda _: Reply("done"), faults=faults) as server:
        assert [ask(server), ask(server)] == [2, 1]
        now = lessons.time.time()
        monkeypatch.setattr("time.time", lambda: now + 25 * 3600)
        assert ask(server) == 2


def test_a_lesson_that_the_endpoint_takes_no_more_is_forgotten() -> None:
    with OpenAIServer(lambda _: Reply("done")) as server:
        model = model_at(server)
        model.capabilities.learn(["other_limit"])
        server.refuse(lambda body: Fault(400, "no") if "max_completion_tokens" in body else None)
        assert model.invoke("x", max_tokens=50).text == "done"
        assert model.capabilities == Capabilities()


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"at": "now"}', '{"at": 1e12, "forms": {"json_tools": 1e12}}'])
def test_a_damaged_file_of_lessons_is_as_none(damage: str) -> None:
    with OpenAIServer(lambda _: Reply("done")) as server:
        lessons.keep(server.base_url, "m", Capabilities())
        (kept,) = lessons.lessons_folder().iterdir()
        kept.write_text(damage)
        KNOWN.clear()
        assert lessons.recall(server.base_url, "m") == Capabilities()
        assert model_at(server).invoke("x").text == "done"


def test_a_folder_that_cannot_be_written_fails_no_request(caplog: pytest.LogCaptureFixture) -> None:
    lessons.lessons_folder().parent.mkdir(parents=True)
    lessons.lessons_folder().write_text("in the way")
    lessons.keep("http://127.0.0.1:1/v1", "m", Capabilities())
    assert "cannot be kept" in caplog.text


def test_nothing_is_sent_that_only_openai_knows() -> None:
    with OpenAIServer(lambda _: Reply("done")) as server:
        for name in ("o3-mini", "gpt-5-codex", "gpt-5-pro"):
            model = make_endpoint(name, server.base_url, SecretStr("k"), ModelSettings(max_retries=0))
            assert model.invoke([SystemMessage("S"), AIMessage("x", name="worker"), HumanMessage("y")]).text == "done"
            assert server.targets[-1] == "/v1/chat/completions"
            assert roles(server.bodies[-1]) == ["system", "assistant", "user"]
            assert not any("name" in message for message in server.bodies[-1]["messages"])
