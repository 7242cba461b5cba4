"""An endpoint that is dead is left alone, and tried again by one request at a time."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from langgraph.errors import GraphBubbleUp

from orchestrator.concurrency import AWAITING, BLOCKING, run_blocking
from orchestrator.errors import CircuitOpenError, ModelError
from orchestrator.testing import Fault
from tests.support.endpoints import Service, Stand, answered, raising, then_well

CROWD = 16


@pytest.fixture(params=[BLOCKING, AWAITING], ids=["threads", "loop"])
def stand(request: pytest.FixtureRequest) -> Stand:
    return Stand(request.param)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    made = Service()
    with made.server:
        yield made


@pytest.mark.parametrize(
    "error",
    [ValueError("a bug"), KeyboardInterrupt(), asyncio.CancelledError(), GraphBubbleUp()],
    ids=lambda e: type(e).__name__,
)
def test_what_is_no_failure_of_the_endpoint_goes_straight_through_and_counts_as_nothing(error: BaseException) -> None:
    stand = Stand(BLOCKING)
    stand.fail_until_open(4)
    for _ in range(3):
        with pytest.raises(type(error)) as raised:
            stand.run(stand.call(raising(error)))
        assert raised.value is error
    assert stand.waits == []
    assert stand.is_closed(), "it is no failure"
    stand.fail_until_open(1)
    assert not stand.is_closed(), "it is no success: the four failures before it still count"


def test_after_some_failures_in_a_row_nothing_is_sent_and_it_is_said_why(stand: Stand) -> None:
    stand.fail_until_open()
    stand.clock.now += 10
    with pytest.raises(CircuitOpenError, match=r"here keeps failing .*ConnectionResetError.* again in 20 s") as raised:
        stand.run(stand.call(then_well()))
    assert (raised.value.endpoint, raised.value.retry_in_s) == ("here", 20)
    assert isinstance(raised.value, ModelError)


@pytest.mark.parametrize("status", [400, 401, 404, 408, 409, 429])
def test_an_endpoint_that_refuses_is_alive(status: int) -> None:
    stand = Stand(BLOCKING)
    stand.fail_until_open(4)
    with pytest.raises(openai.APIStatusError):
        stand.run(stand.call(raising(answered(status)), retries=0))
    stand.fail_until_open(4)
    assert stand.is_closed()


def test_a_repetition_does_not_start_while_the_circuit_is_open(stand: Stand) -> None:
    sent = []

    async def attempt() -> None:
        sent.append(1)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        stand.run(stand.call(attempt, retries=9, circuit_failures=3))
    assert len(sent) == 3
    assert len(stand.waits) == 2, "the third failure is not followed by a wait"


def test_a_success_closes_the_circuit_and_a_failed_trial_opens_it_again(stand: Stand) -> None:
    stand.fail_until_open()
    stand.clock.now += 30
    with pytest.raises(TimeoutError):
        stand.run(stand.call(raising(TimeoutError())))
    assert stand.waits == []
    stand.clock.now += 29
    with pytest.raises(CircuitOpenError):
        stand.run(stand.call(then_well()))
    stand.clock.now += 1
    assert stand.run(stand.call(then_well())) == "well"
    stand.fail_until_open(4)
    assert stand.is_closed()


def test_a_crowd_of_workers_does_not_hammer_a_dead_endpoint(stand: Stand, service: Service) -> None:
    calls, sent = 4, []

    async def attempt() -> Any:
        sent.append(1)
        return await stand.inner.invoke(service.model, "hello")

    async def worker(_: int) -> int:
        failed = 0
        for _ in range(calls):
            try:
                await stand.call(attempt, retries=2)
            except (openai.InternalServerError, openai.APIConnectionError, CircuitOpenError):
                failed += 1  # a small server also drops connections when so many come at once
        return failed

    async def crowd() -> list[int]:
        return await asyncio.gather(*map(worker, range(CROWD)))

    service.fail(Fault(503), always=True)
    if stand.inner is BLOCKING:
        with ThreadPoolExecutor(CROWD) as pool:
            failed = list(pool.map(lambda number: run_blocking(worker(number)), range(CROWD)))
    else:
        failed = asyncio.run(crowd())
    assert failed == [calls] * CROWD
    # Without a circuit: 16 workers, 4 calls, 3 tries. With it: five failures, and what was under way at the fifth.
    assert 5 <= len(sent) <= 5 + CROWD - 1


def test_workers_that_come_one_after_the_other_make_no_more_requests_than_open_it(
    stand: Stand, service: Service
) -> None:
    service.fail(Fault(503), always=True)
    for _ in range(CROWD):
        with pytest.raises((openai.InternalServerError, CircuitOpenError)):
            stand.run(stand.call(stand.asking(service.model), longest_wait_s=0))
    assert service.asked == 5


def test_one_request_is_let_through_as_a_trial_and_the_others_fail_at_once() -> None:
    stand = Stand(AWAITING)
    stand.fail_until_open()
    stand.clock.now += 30
    sent = []

    async def crowd() -> list[Any]:
        answer = asyncio.get_running_loop().create_future()

        async def attempt() -> Any:
            sent.append(1)
            return await answer

        callers = [asyncio.create_task(stand.call(attempt)) for _ in range(CROWD)]
        refused, _ = await asyncio.wait(callers[1:], timeout=30)
        assert len(refused) == CROWD - 1
        assert not callers[0].done()
        answer.set_result("well")
        assert await callers[0] == "well"
        assert await stand.call(attempt) == "well"
        return [task.exception() for task in refused]

    refused = asyncio.run(crowd())
    assert len(sent) == 2
    assert all(isinstance(error, CircuitOpenError) and "just now" in str(error) for error in refused)


def test_of_many_threads_one_makes_the_trial() -> None:
    stand = Stand(BLOCKING)
    stand.fail_until_open()
    stand.clock.now += 30
    at_once, others = threading.Barrier(CROWD), threading.Semaphore(0)

    async def attempt() -> str:
        for _ in range(CROWD - 1):
            assert others.acquire(timeout=60)
        return "well"

    def caller(_: int) -> str:
        at_once.wait(60)
        try:
            return str(run_blocking(stand.call(attempt)))
        except CircuitOpenError:
            others.release()
            return "refused"

    with ThreadPoolExecutor(CROWD) as pool:
        assert sorted(pool.map(caller, range(CROWD))) == ["refused"] * (CROWD - 1) + ["well"]


def test_what_was_under_way_when_the_circuit_opened_does_not_keep_it_open_but_can_close_it() -> None:
    stand = Stand(BLOCKING)
    circuit, _ = stand.endpoints.of("here")

    def is_open() -> bool:
        return circuit.is_open(5, 30)

    late_failure = circuit.request(5, 30, lambda _: "dead")
    late_success = circuit.request(5, 30, lambda _: "dead")
    late_failure.__enter__()
    late_success.__enter__()
    stand.fail_until_open()
    stand.clock.now += 20
    assert late_failure.__exit__(TimeoutError, TimeoutError(), None) is not True
    stand.clock.now += 9
    assert is_open()
    stand.clock.now += 1
    assert not is_open()
    with pytest.raises(TimeoutError):
        stand.run(stand.call(raising(TimeoutError())))
    assert is_open()
    late_success.__exit__(None, None, None)
    assert not is_open()


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), asyncio.CancelledError(), GraphBubbleUp()], ids=lambda e: type(e).__name__
)
def test_a_trial_that_is_cancelled_makes_room_for_another(stand: Stand, error: BaseException) -> None:
    stand.fail_until_open()
    stand.clock.now += 30
    with pytest.raises(type(error)):
        stand.run(stand.call(raising(error)))
    assert stand.run(stand.call(then_well())) == "well"


def test_a_dead_endpoint_is_not_queued_for(stand: Stand) -> None:
    stand.fail_until_open()
    for _ in range(3):
        with pytest.raises(CircuitOpenError):
            stand.run(stand.call(then_well(), requests_per_minute=1))
    assert stand.waits == []
