"""Errors of endpoints: retries, refusals, cost, waits, and the texts for a person."""

import asyncio
import itertools
import ssl
from datetime import UTC, datetime

import httpx
import httpx2
import langchain_core.exceptions as langchain_errors
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.errors import GraphBubbleUp

from orchestrator.errors import CircuitOpenError, ModelError
from orchestrator.models.error_texts import as_model_error, explaining
from orchestrator.models.errors import (
    EndpointHealth,
    RefusedRequestError,
    cost_nothing,
    endpoint_health,
    is_refusal,
    is_transient,
    retry_after,
)
from tests.support.endpoints import answered

ASCII = st.characters(codec="ascii")


def caused(error: BaseException, *causes: BaseException) -> BaseException:
    for link, cause in itertools.pairwise((error, *causes)):
        link.__cause__ = cause
    return error


def connection_error(*causes: BaseException) -> BaseException:
    return caused(openai.APIConnectionError(request=httpx2.Request("POST", "http://here/v1")), *causes)


@pytest.mark.parametrize(
    ("error", "passes", "refused"),
    [
        (answered(429), True, True),
        (answered(429, code="insufficient_quota"), False, True),
        (answered(500), True, False),
        (answered(424), True, False),
        (answered(498), True, True),
        (answered(499), True, False),
        (answered(400), False, True),
        (TimeoutError(), True, False),
        (ConnectionResetError(), True, False),
        (ConnectionRefusedError(), True, True),
        (httpx2.ReadTimeout("slow"), True, False),
        (httpx2.ConnectTimeout("slow"), True, True),
        (httpx2.RemoteProtocolError("cut"), True, False),
        (httpx2.UnsupportedProtocol("htp://"), False, False),
        (httpx.ReadError("cut"), True, False),
        (httpx.ConnectError("nobody there"), True, True),
        (connection_error(httpx2.ReadError("cut")), True, False),
        (connection_error(httpx2.ConnectError("nobody there")), True, True),
        (connection_error(httpx2.UnsupportedProtocol("htp://")), False, False),
        (connection_error(httpx2.ConnectError("tls"), ssl.SSLCertVerificationError("self-signed")), False, True),
        (caused(RuntimeError("a client's own error"), httpx.ReadError("cut")), True, False),
        (langchain_errors.ModelTimeoutError(), True, False),
        (langchain_errors.ModelRateLimitError(), True, True),
        (langchain_errors.ModelAuthenticationError(), False, True),
        (langchain_errors.ContextOverflowError(), False, True),
        (CircuitOpenError("here", "it broke", 3), False, True),
        (ModelError("the engine's own"), False, False),
        (caused(ModelError("told to a person"), httpx2.ConnectError("nobody")), False, False),
        (openai.APIError("no chat completion", httpx2.Request("POST", "http://here"), body=None), False, False),
        (ValueError("a bug"), False, False),
        (KeyboardInterrupt(), False, False),
        (asyncio.CancelledError(), False, False),
        (GraphBubbleUp(), False, False),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_what_an_error_means(error: BaseException, passes: bool, refused: bool) -> None:
    assert (is_transient(error), cost_nothing(error)) == (passes, refused)


@pytest.mark.parametrize(
    ("error", "health"),
    [
        (answered(500), "dead"),
        (answered(401), "alive"),
        (answered(429), "alive"),
        (langchain_errors.ModelRateLimitError(), "alive"),
        (ConnectionResetError(), "dead"),
        (asyncio.CancelledError(), "none"),
        (CircuitOpenError("here", "it broke", 3), "none"),
    ],
)
def test_an_endpoint_that_answers_is_alive(error: BaseException, health: EndpointHealth) -> None:
    assert endpoint_health(error) == health


def test_only_what_would_be_refused_again_is_a_refusal() -> None:
    assert [status for status in range(400, 500) if is_refusal(answered(status))] == [
        status
        for status in range(400, 500)
        if status not in (401, 402, 403, 404, 405, 408, 409, 424, 425, 429, 498, 499)
    ]
    assert not is_refusal(answered(500))
    assert is_refusal(openai.ContentFilterFinishReasonError())
    assert not is_refusal(ValueError("of other origin"))


# How long to wait


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:10 GMT"}, 10.0),
        ({"Retry-After": "Wed, 21 Oct 2026 09:28:10 +0200"}, 10.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:10 -0000"}, 10.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:27:00 GMT"}, 0.0),
        ({"Retry-After": " 2.5 "}, 2.5),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After-Ms": "soon", "Retry-After": "4"}, 4.0),
        ({"x-ratelimit-reset-tokens": "6ms"}, 0.006),
        ({"x-ratelimit-reset-tokens": "1m3s", "x-ratelimit-remaining-tokens": "0"}, 63.0),
        ({"x-ratelimit-reset-tokens": "1m3s", "x-ratelimit-remaining-tokens": "9"}, None),
        ({"x-ratelimit-reset-tokens": "2s", "x-ratelimit-reset-requests": "5s"}, 5.0),
        ({"RateLimit-Reset": "30"}, 30.0),
        ({"X-RateLimit-Reset": "1792567695"}, 15.0),
        ({"X-RateLimit-Reset": "1792567695000", "X-RateLimit-Remaining": "0"}, 15.0),
        ({"X-RateLimit-Reset": "soon"}, None),
        ({}, None),
    ],
)
def test_a_retry_after_is_read_as_seconds_or_as_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(answered(429, headers), lambda: datetime(2026, 10, 21, 7, 28, tzinfo=UTC)) == seconds


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37s"}]}, 37.0),
        ({"retry_after": 12}, 12.0),
        ({"retry_after_ms": 1500}, 1.5),
        ({"message": "Please retry after 26 seconds."}, 26.0),
        ({"metadata": {"headers": {"X-RateLimit-Reset": "1792567695000"}}}, 15.0),
        ({"message": "retry_after unknown"}, None),
    ],
)
def test_a_wait_in_the_body_is_read(body: dict[str, object], seconds: float | None) -> None:
    error = openai.APIStatusError("no", response=answered(429).response, body=body)
    assert retry_after(error, lambda: datetime(2026, 10, 21, 7, 28, tzinfo=UTC)) == seconds


def test_an_error_without_an_answer_asks_for_no_wait() -> None:
    assert retry_after(TimeoutError()) is None


@given(
    st.text(st.characters(codec="ascii"))
    | st.from_regex(r"\d+ [A-Z][a-z]{2} \d+ [\d:]+ [+-]?\d*", fullmatch=True, alphabet=ASCII)
)
def test_no_retry_after_breaks_anything(text: str) -> None:
    told = retry_after(answered(429, {"Retry-After": text}))
    assert told is None or told >= 0


# What a person reads


@pytest.mark.parametrize(
    ("status", "advice"),
    [(401, "check OPENAI_API_KEY"), (404, "check --model"), (429, "check the quota"), (503, "with resume")],
)
def test_a_status_is_explained_with_what_to_do(status: int, advice: str) -> None:
    explained = as_model_error(answered(status))
    assert "http://here/v1" in str(explained)
    assert advice in str(explained)


def test_a_refusal_stays_one_once_it_is_explained() -> None:
    with pytest.raises(RefusedRequestError, match="with 413") as raised, explaining():
        raise answered(413)
    assert is_refusal(raised.value)


def test_what_is_already_for_a_person_is_left_as_it_is() -> None:
    error = ModelError("clear enough")
    assert as_model_error(error) is error
    with pytest.raises(ModelError) as raised, explaining():
        raise error
    assert raised.value is error


def test_errors_of_other_origin_pass_through() -> None:
    assert as_model_error(ValueError("a bug")) is None
    with pytest.raises(ValueError, match="a bug"), explaining():
        raise ValueError("a bug")
