"""Reasons of failures, in the shapes in which servers send them, and the endpoint that is named with them."""

import json
from typing import Any

import httpx2
import openai
import pytest

from orchestrator import CallPolicy, Supervisor, TaskOrchestrator, Worker
from orchestrator.concurrency import BLOCKING, run_blocking
from orchestrator.errors import ModelError
from orchestrator.model_calls.calls import ModelCalls
from orchestrator.models.endpoints.reasons import MOST_CHARS, reason_in
from orchestrator.models.error_texts import as_model_error, explain
from orchestrator.testing import Fault, OpenAIServer
from tests.support.endpoints import model_at

WHY = "the lake is frozen"
QUOTED = json.dumps({"error": {"message": WHY, "code": 400}})
SHAPES: list[tuple[str, Any, str]] = [
    ("detail", {"detail": WHY}, WHY),
    ("fastapi", {"detail": [{"loc": ["body", "top_k"], "msg": WHY, "type": "value"}]}, f"body.top_k: {WHY}"),
    ("nested detail", {"detail": {"error": {"message": WHY}}}, WHY),
    ("message", {"object": "error", "message": WHY, "code": 400}, WHY),
    ("error text", {"error": WHY}, WHY),
    ("error object", {"error": {"message": WHY, "type": "x"}}, WHY),
    ("errors", {"errors": [{"message": WHY}, {"message": "and deep"}]}, f"{WHY}: and deep"),
    ("raw", {"error": {"message": "It failed", "metadata": {"raw": QUOTED}}}, f"It failed: {WHY}"),
    ("gemini", [{"error": {"code": 400, "message": WHY, "status": "INVALID_ARGUMENT"}}], WHY),
    ("text", WHY, WHY),
    ("page", f"<html><title>502</title><style>a{{}}</style><body><h1>{WHY}</h1></body></html>", f"502: {WHY}"),
    ("xml", f"<?xml version='1.0'?><Error><Code>x</Code><Message>{WHY}</Message></Error>", WHY),
    ("json as text", f"\ufeff {QUOTED}", WHY),
    ("empty", "", "Bad Request"),
    ("no fields", {}, "Bad Request"),
    ("error_msg", {"error_code": 17, "error_msg": WHY}, WHY),
    ("msg", {"code": "E1", "msg": WHY}, WHY),
    ("reason", {"reason": WHY}, WHY),
    ("oauth", {"error": "invalid_scope", "error_description": WHY}, f"invalid_scope: {WHY}"),
    ("azure", {"error": {"message": WHY, "innererror": {"code": "Violation"}}}, f"{WHY}: Violation"),
    ("groq", {"error": {"message": WHY, "failed_generation": "<tool>"}}, f"{WHY}: <tool>"),
    ("litellm", {"error": {"message": f"litellm.BadRequestError: OpenAIException - {QUOTED}"}}, WHY),
    ("python", f"Error code: 400 - {{'error': {{'message': '{WHY}'}}}}", WHY),
    ("bytes", QUOTED.encode(), WHY),
    ("unheard of", {"Problem-Info": WHY}, WHY),
    ("upper case", {"Message": WHY}, WHY),
    ("fault", {"fault": {"faultstring": WHY}}, WHY),
    ("escapes", "\x1b[31mthe\x1b[0m lake\r\n\x00is \u202efrozen", WHY),
    ("a code alone", {"error": {"code": "frozen_lake"}}, "frozen_lake"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "reason"), [row[1:] for row in SHAPES], ids=[row[0] for row in SHAPES])
def test_the_reason_is_found_in_every_shape(body: Any, reason: str) -> None:
    assert reason_in(body, 400) == reason
    raw = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    response = httpx2.Response(418, content=raw, request=httpx2.Request("POST", "http://here/v1/chat/completions"))
    client = openai.OpenAI(api_key="x", base_url="http://here/v1")
    told = str(as_model_error(client._make_status_error_from_response(response)))
    assert reason.replace("Bad Request", "I'm a Teapot") in told
    assert told.startswith("http://here/v1 refused the request with 418: ")


def test_long_deep_and_secret_reasons() -> None:
    assert len(reason_in("why " * 100_000)) <= MOST_CHARS + 1
    deep: Any = WHY
    for _ in range(2000):
        deep = {"error": deep}
    assert reason_in(deep, 500) == "Internal Server Error"
    assert reason_in("[" * 100_000, 400)
    assert "sk-abcdef" not in reason_in({"error": "x" * (MOST_CHARS - 12) + " sk-abcdefghijklmnop"})
    assert reason_in(None, 599) == "it does not say why"


ADVICE = [
    (404, {"error": {"message": "model 'qwen3:8b' not found, try pulling it first"}}, "ollama pull qwen3:8b"),
    (401, {"error": "no"}, "set OPENAI_API_KEY"),
    (400, {"error": {"message": "This model's maximum context length is 4096 tokens"}}, "ORCHESTRATOR_CONTEXT_WINDOW"),
    (400, {"error": {"innererror": {"code": "ResponsibleAIPolicyViolation"}}}, "content filter"),
    (402, {"error": "insufficient balance"}, "credit"),
    (403, "<html><title>Blocked by Squid</title></html>", "a proxy may stand between"),
    (200, "<html><title>Welcome</title></html>", "This is a web page"),
]


@pytest.mark.parametrize(("status", "body", "advice"), ADVICE, ids=lambda value: str(value)[:30])
def test_the_usual_causes_are_told_with_what_to_do(
    status: int, body: Any, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    fault = Fault(status, raw=body if isinstance(body, str) else json.dumps(body))
    with OpenAIServer([], faults=lambda _: fault) as server:
        team = TaskOrchestrator(Supervisor(model=model_at(server.base_url)), [Worker("w", "You work.")])
        with team, pytest.raises(ModelError) as told:
            team.run("go", auto_approve=True)
    assert advice in str(told.value)
    assert server.base_url in str(told.value)


def test_an_address_without_v1_is_asked_about() -> None:
    request = httpx2.Request("POST", "http://here:8000/chat/completions")
    error = openai.NotFoundError("no", response=httpx2.Response(404, text="Not Found", request=request), body=None)
    assert "as in http://here:8000/v1" in str(as_model_error(error))


def test_a_redirect_that_fails_names_its_address() -> None:
    asked = httpx2.Response(301, request=httpx2.Request("POST", "http://here/v1/chat/completions"))
    request = httpx2.Request("GET", "https://there/v1/chat/completions?key=x")
    response = httpx2.Response(405, request=request, history=[asked])
    error = openai.APIStatusError("no", response=response, body=None)
    told = str(explain(error, "http://here/v1"))
    assert told.startswith("http://here/v1 redirects to https://there/v1, which answers 405")


@pytest.mark.parametrize("fault", [Fault(200, raw="nothing"), Fault(0), Fault(200, raw='{"error": {"code": 503}}')])
@pytest.mark.parametrize("has_fallback", [False, True])
def test_the_endpoint_that_was_asked_is_named(fault: Fault, has_fallback: bool) -> None:
    """Errors of streams, lost connections and answers without a completion do not know their endpoint."""
    with OpenAIServer([], faults=lambda _: fault) as first, OpenAIServer([], faults=lambda _: fault) as second:
        policy = CallPolicy(fallbacks=[model_at(second.base_url)] if has_fallback else [])
        calls = ModelCalls(BLOCKING, policy=policy)
        with pytest.raises(openai.OpenAIError) as raised:
            run_blocking(calls.invoke(model_at(first.base_url), []))
    told = str(as_model_error(raised.value))
    assert (second if has_fallback else first).base_url in told
    assert "api.openai.com" not in told
