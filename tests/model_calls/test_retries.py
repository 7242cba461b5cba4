"""What is tried again and what is not, and how long is waited."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from orchestrator.concurrency import AWAITING, BLOCKING
from orchestrator.errors import ConfigError
from orchestrator.model_calls.retries import Endpoints, Resilience, call_endpoint
from orchestrator.models.errors import cost_nothing
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
def test_a_refused_request_is_never_sent_again(stand: Stand, service: Service, status: int) -> None:
    service.fail(Fault(status), always=True)
    with pytest.raises(openai.APIStatusError) as raised:
        stand.run(stand.call(stand.asking(service.model)))
    assert raised.value.status_code == status
    assert cost_nothing(raised.value)
    sent = [json.dumps(body, sort_keys=True) for body in service.server.bodies]
    assert len(set(sent)) == len(sent), "only in another form, and without a wait"
    assert len(sent) == 1 or status in (400, 415, 422), "the others say nothing about the form"
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


# Which endpoint it is


def test_endpoints_do_not_share_a_circuit() -> None:
    endpoints = Endpoints()
    assert endpoints.of("here") == endpoints.of("here")
    assert not set(endpoints.of("here")) & set(endpoints.of("there"))


@pytest.mark.parametrize("wrong", [{"retries": -1}, {"circuit_failures": 0}, {"tokens_per_minute": 0}, {"retry": 1}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="Resilience: "):
        Resilience(**wrong)
