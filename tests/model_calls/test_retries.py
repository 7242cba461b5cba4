"""What is tried again and what is not, how long is waited, and what an error means."""

import asyncio
import itertools
import ssl
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import httpx2
import langchain_core.exceptions as langchain_errors
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_openai import ChatOpenAI
from langgraph.errors import GraphBubbleUp
from pydantic import SecretStr, ValidationError

from orchestrator.concurrency import AWAITING, BLOCKING
from orchestrator.errors import ModelError
from orchestrator.model_calls.retries import Endpoints, Resilience, call_endpoint
from orchestrator.models.errors import CircuitOpenError, cost_nothing, is_transient, retry_after
from orchestrator.testing import Fault, Gate, OpenAIServer, say
from tests.support.endpoints import Service, Stand, answered, model_at, raising, then_well

CROWD = 16
ASCII = st.characters(codec="ascii")


@pytest.fixture(params=[BLOCKING, AWAITING], ids=["threads", "loop"])
def stand(request: pytest.FixtureRequest) -> Stand:
    return Stand(request.param)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    made = Service()
    with made.server:
        yield made


def caused(error: BaseException, *causes: BaseException) -> BaseException:
    for link, cause in itertools.pairwise((error, *causes)):
        link.__cause__ = cause
    return error


def connection_error(*causes: BaseException) -> BaseException:
    return caused(openai.APIConnectionError(request=httpx2.Request("POST", "http://here/v1")), *causes)


# Over the true HTTP path: what is sent again


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529, 0])
def test_what_can_pass_is_sent_again_until_it_does(stand: Stand, service: Service, status: int) -> None:
    service.fail(Fault(status), Fault(status))
    answer = stand.run(stand.call(stand.asking(service.model)))
    assert answer.text == "hi"
    assert service.asked == 3
    assert len(stand.waits) == 2


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529, 0])
def test_after_the_last_repetition_the_error_itself_is_raised(stand: Stand, service: Service, status: int) -> None:
    service.fail(Fault(status), always=True)
    with pytest.raises(openai.APIStatusError if status else openai.APIConnectionError) as raised:
        stand.run(stand.call(stand.asking(service.model), retries=1))
    assert getattr(raised.value, "status_code", 0) == status
    assert service.asked == 2


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 413, 415, 422])
def test_a_refusal_is_never_sent_again(stand: Stand, service: Service, status: int) -> None:
    service.fail(Fault(status), always=True)
    with pytest.raises(openai.APIStatusError) as raised:
        stand.run(stand.call(stand.asking(service.model)))
    assert raised.value.status_code == status
    assert cost_nothing(raised.value)
    assert service.asked == 1
    assert stand.waits == []


def test_a_spent_quota_is_no_rate_limit(stand: Stand, service: Service) -> None:
    service.fail(Fault(429, raw='{"error": {"message": "pay first", "code": "insufficient_quota"}}'), always=True)
    with pytest.raises(openai.RateLimitError) as raised:
        stand.run(stand.call(stand.asking(service.model)))
    assert service.asked == 1
    assert cost_nothing(raised.value)


def test_a_hanging_endpoint_is_asked_again_and_may_have_charged(stand: Stand) -> None:
    gate = Gate()
    with OpenAIServer(lambda _: say("late").behind(gate)) as server:
        with pytest.raises(openai.APITimeoutError) as raised:
            stand.run(stand.call(stand.asking(model_at(server.base_url, timeout_s=0.5)), retries=1))
        gate.release()
    assert len(stand.waits) == 1
    assert not cost_nothing(raised.value)


@pytest.mark.parametrize("plain", [False, True], ids=["ours", "LangChain's own"])
def test_an_endpoint_that_is_not_there_is_tried_again_and_costs_nothing(stand: Stand, plain: bool) -> None:
    with OpenAIServer([]) as gone:
        url = gone.base_url
    # LangChain's own class wraps the client's errors in further ones
    key = SecretStr("x")
    model = ChatOpenAI(model="m", base_url=url, api_key=key, max_retries=0) if plain else model_at(url)
    with pytest.raises(openai.APIConnectionError) as raised:
        stand.run(stand.call(stand.asking(model), retries=1))
    assert len(stand.waits) == 1
    assert cost_nothing(raised.value)


# How long is waited


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ([("Retry-After", "7")], 7.0),
        ([("Retry-After", "0")], 0.0),
        ([("retry-after", "60")], 60.0),
        ([("Retry-After-Ms", "1250"), ("Retry-After", "2")], 1.25),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_retry_after_is_obeyed_exactly(
    stand: Stand, service: Service, status: int, headers: Sequence[tuple[str, str]], wait: float
) -> None:
    service.fail(Fault(status, headers=tuple(headers)))
    stand.run(stand.call(stand.asking(service.model), first_wait_s=0, longest_wait_s=0))
    assert stand.waits == [wait]


def test_who_asks_for_more_than_a_minute_is_not_waited_for(stand: Stand, service: Service) -> None:
    service.fail(Fault(429, headers=(("Retry-After", "61"),)))
    with pytest.raises(openai.RateLimitError):
        stand.run(stand.call(stand.asking(service.model)))
    assert service.asked == 1
    assert stand.waits == []


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
        ({}, None),
    ],
)
def test_a_retry_after_is_read_as_seconds_or_as_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(answered(429, headers), lambda: datetime(2026, 10, 21, 7, 28, tzinfo=UTC)) == seconds


def test_an_error_without_an_answer_asks_for_no_wait() -> None:
    assert retry_after(TimeoutError()) is None


@given(
    st.text(st.characters(codec="ascii"))
    | st.from_regex(r"\d+ [A-Z][a-z]{2} \d+ [\d:]+ [+-]?\d*", fullmatch=True, alphabet=ASCII)
)
def test_no_retry_after_breaks_anything(text: str) -> None:
    told = retry_after(answered(429, {"Retry-After": text}))
    assert told is None or told >= 0


@given(first=st.floats(0, 10), longest=st.floats(0, 100), retries=st.integers(0, 8))
def test_jitter_stays_between_nothing_and_a_doubling_bound(first: float, longest: float, retries: int) -> None:
    stand = Stand(BLOCKING)
    attempt = raising(answered(429))
    with pytest.raises(openai.APIStatusError):
        stand.run(stand.call(attempt, retries=retries, first_wait_s=first, longest_wait_s=longest))
    assert len(stand.waits) == retries
    for number, wait in enumerate(stand.waits):
        assert 0 <= wait <= min(longest, first * 2**number)


def test_many_that_fail_together_do_not_come_back_together() -> None:
    stand = Stand(BLOCKING)
    for _ in range(CROWD):
        stand.run(stand.call(then_well(answered(429)), first_wait_s=1))
    assert len(set(stand.waits)) == CROWD


def test_a_caller_that_is_cancelled_while_it_waits_stops_at_once_and_holds_up_nobody() -> None:
    endpoints, sent = Endpoints(), asyncio.Event()

    async def attempt() -> None:
        assert not sent.is_set()
        sent.set()
        raise answered(429, {"Retry-After": "50"})

    async def body() -> Any:
        caller = asyncio.create_task(call_endpoint(AWAITING, "here", Resilience(), attempt, endpoints=endpoints))
        await sent.wait()
        await asyncio.sleep(0)  # it waits now
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        return await call_endpoint(AWAITING, "here", Resilience(), then_well(), endpoints=endpoints)

    assert asyncio.run(asyncio.wait_for(body(), 40)) == "well"


# What an error means


@pytest.mark.parametrize(
    ("error", "passes", "refused"),
    [
        (answered(429), True, True),
        (answered(429, code="insufficient_quota"), False, True),
        (answered(500), True, False),
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


# Which endpoint it is


def test_endpoints_do_not_share_a_circuit() -> None:
    endpoints = Endpoints()
    assert endpoints.of("here") == endpoints.of("here")
    assert not set(endpoints.of("here")) & set(endpoints.of("there"))


@pytest.mark.parametrize("wrong", [{"retries": -1}, {"circuit_failures": 0}, {"tokens_per_minute": 0}, {"retry": 1}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        Resilience(**wrong)
