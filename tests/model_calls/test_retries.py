"""What is tried again and what is not, and how long is waited."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from orchestrator.budget.allowance import Allowance
from orchestrator.budget.budget import Budget
from orchestrator.concurrency import AWAITING, BLOCKING, run_blocking
from orchestrator.errors import ConfigError
from orchestrator.events import Event
from orchestrator.model_calls.call_events import ModelLoading
from orchestrator.model_calls.call_policy import CallPolicy
from orchestrator.model_calls.calls import ModelCalls
from orchestrator.model_calls.retries import Endpoints, Resilience, call_endpoint
from orchestrator.models.errors import cost_nothing, retry_after
from orchestrator.testing import Fault, Gate, OpenAIServer, say
from tests.budget.test_ledger import open_ledger
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


# Endpoints that load their model

LOADING = [
    Fault(503, raw='{"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}'),
    Fault(503, raw='{"error": "Model a/b is currently loading", "estimated_time": 20.0}'),
    Fault(503, "the model is warming up"),
    Fault(503, "model qwen is not ready"),
    Fault(200, raw='{"error": {"message": "Loading model", "code": 503}}'),
]


@pytest.mark.parametrize("fault", LOADING, ids=lambda fault: str(fault.raw or fault.message)[:40])
def test_an_endpoint_that_loads_its_model_is_waited_for(stand: Stand, service: Service, fault: Fault) -> None:
    service.fail(*[fault] * 20)
    heard: list[str] = []
    call = stand.call(stand.asking(service.model), on_loading=lambda: heard.append("loading"), retries=0)
    assert stand.run(call).text == "hi"
    assert len(stand.waits) == 20
    assert stand.waits[-1] == 5
    assert heard == ["loading"], "told once"
    assert stand.is_closed()


def test_a_model_that_is_never_loaded_is_given_up_after_the_longest_wait(stand: Stand, service: Service) -> None:
    service.fail(LOADING[0], always=True)
    with pytest.raises(openai.InternalServerError):
        stand.run(stand.call(stand.asking(service.model), longest_loading_s=30))
    assert 25 <= sum(stand.waits) <= 30
    assert stand.is_closed()


def test_a_loading_endpoint_says_when_to_come_again(stand: Stand, service: Service) -> None:
    service.fail(Fault(503, "Loading model", (("Retry-After", "17"),)))
    stand.run(stand.call(stand.asking(service.model)))
    assert stand.waits == [17]


@pytest.mark.parametrize(
    "fault", [Fault(503, "failed to load model"), Fault(503, "overloaded"), Fault(400, "Loading model")]
)
def test_what_only_resembles_loading_is_not_waited_for(stand: Stand, service: Service, fault: Fault) -> None:
    service.fail(fault, always=True)
    with pytest.raises(openai.APIStatusError):
        stand.run(stand.call(stand.asking(service.model), retries=0))
    assert stand.waits == []


def test_the_wait_of_a_rate_limit_is_read_from_words_and_headers() -> None:
    spent = {
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "6m0s",
        "x-ratelimit-reset-requests": "1s",
    }
    assert retry_after(answered(429, spent)) == 360
    assert retry_after(answered(429, spent | {"x-ratelimit-remaining-tokens": "9"})) == 1, "of which nothing is known"
    left = {"x-ratelimit-remaining-requests": "9", "x-ratelimit-reset-requests": "1s"}
    assert retry_after(answered(429, left)) is None
    told = answered(429)
    told.args = ("Rate limit reached. Please try again in 1m2.5s. Visit us",)
    assert retry_after(told) == 62.5


def test_polls_of_a_loading_endpoint_cost_nothing_and_are_told(service: Service) -> None:
    service.fail(LOADING[0])
    ledger = open_ledger(Budget(model_calls=1, tokens=50_000))
    events: list[Event] = []
    policy = CallPolicy(resilience=Resilience(first_wait_s=0.001))
    calls = ModelCalls(BLOCKING, Allowance(ledger=ledger), policy, events.append)
    assert run_blocking(calls.invoke(service.model, [HumanMessage("hello")])).text == "hi"
    assert ledger.spent.model_calls == 1
    assert [event.longest_s for event in events if isinstance(event, ModelLoading)] == [300]
