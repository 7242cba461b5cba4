"""Never more requests or tokens in any minute than allowed, in the order of arrival, and never slower than needed."""

import asyncio
import heapq
import itertools
import math
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import coroutine
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.concurrency import AWAITING, BLOCKING, Bridge, run_blocking
from orchestrator.errors import ConfigError
from orchestrator.model_calls.rate_limit import WINDOW_S, Rate
from tests.support.endpoints import Clock, Stand, raising, then_well


@coroutine
def _pause(seconds: float) -> Generator[float, None, None]:
    yield seconds


class Paused:
    """A bridge whose waits are handed to whoever drives the coroutine."""

    async def sleep(self, seconds: float) -> None:
        await _pause(seconds)


class Minutes:
    """Requests that arrive, wait and are cancelled in virtual time.

    Args:
        most_requests: Most requests a minute.
        most_tokens: Most tokens a minute.
        overshoot: By how much each wait takes longer than it should.
    """

    def __init__(self, most_requests: int | None, most_tokens: int | None, overshoot: float = 0.0) -> None:
        self.limits = (most_requests, most_tokens)
        self.overshoot = overshoot
        self.clock = Clock()
        self.rate = Rate(self.clock)
        self.started: dict[int, float] = {}
        self.waits: dict[int, int] = {}

    def run(self, arrivals: Sequence[tuple[float, int]], cancelled: dict[int, float] | None = None) -> None:
        order = itertools.count()
        todo: list[tuple[float, int, int, str]] = [(at, next(order), n, "go") for n, (at, _) in enumerate(arrivals)]
        todo += [(at, next(order), number, "cancel") for number, at in (cancelled or {}).items()]
        heapq.heapify(todo)
        bridge = cast(Bridge, Paused())
        under_way: dict[int, Any] = {}
        while todo:
            self.clock.now, _, number, action = heapq.heappop(todo)
            if number in self.started or (number in self.waits and number not in under_way):
                continue
            if number not in under_way:
                if action == "cancel":
                    continue
                under_way[number] = self.rate.acquire(bridge, arrivals[number][1], *self.limits)
                self.waits[number] = 0
            if action == "cancel":
                with pytest.raises(asyncio.CancelledError):
                    under_way.pop(number).throw(asyncio.CancelledError())
                continue
            try:
                wait = under_way[number].send(None)
            except StopIteration:
                self.started[number] = self.clock.now
                continue
            self.waits[number] += 1
            heapq.heappush(todo, (self.clock.now + wait + self.overshoot, next(order), number, "go"))


def busiest_minute(times: Sequence[tuple[float, int]]) -> tuple[int, int]:
    """Most requests and most tokens that started within any window of a minute."""
    windows = [[tokens for at, tokens in times if at <= end < at + WINDOW_S] for end, _ in times]
    return max(map(len, windows), default=0), max(map(sum, windows), default=0)


def earliest(arrivals: Sequence[tuple[float, int]], most_requests: int | None, most_tokens: int | None) -> list[float]:
    """When each could start at the earliest, found by trying."""
    starts: list[tuple[float, int]] = []
    for at, tokens in arrivals:
        first = max(at, starts[-1][0] if starts else at)
        for candidate in sorted({first, *(past + WINDOW_S for past, _ in starts if past + WINDOW_S > first)}):
            window = [taken for past, taken in starts if past + WINDOW_S > candidate]
            if (most_requests is None or len(window) < most_requests) and (
                most_tokens is None or sum(window) + tokens <= most_tokens
            ):
                starts.append((candidate, tokens))
                break
    return [at for at, _ in starts]


# Whole seconds, so that sums of them are exact.
ARRIVALS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 50)), max_size=25).map(
    lambda gaps: [
        (float(at), tokens) for at, (_, tokens) in zip(itertools.accumulate(g for g, _ in gaps), gaps, strict=True)
    ]
)
MOST_REQUESTS = st.none() | st.integers(1, 6)
MOST_TOKENS = st.none() | st.integers(50, 120)
CANCELLED = st.dictionaries(st.integers(0, 24), st.integers(0, 300).map(float), max_size=8)


@given(ARRIVALS, MOST_REQUESTS, MOST_TOKENS)
def test_each_starts_as_early_as_the_limits_and_the_order_of_arrival_allow(
    arrivals: list[tuple[float, int]], most_requests: int | None, most_tokens: int | None
) -> None:
    minutes = Minutes(most_requests, most_tokens)
    minutes.run(arrivals)
    assert [minutes.started[n] for n in range(len(arrivals))] == earliest(arrivals, most_requests, most_tokens)


@given(ARRIVALS, MOST_REQUESTS, MOST_TOKENS, CANCELLED, st.floats(0, 5))
def test_no_minute_ever_holds_more_than_the_limits(
    arrivals: list[tuple[float, int]],
    most_requests: int | None,
    most_tokens: int | None,
    cancelled: dict[int, float],
    overshoot: float,
) -> None:
    minutes = Minutes(most_requests, most_tokens, overshoot)
    minutes.run(arrivals, cancelled)
    requests, tokens = busiest_minute(sorted((at, arrivals[n][1]) for n, at in minutes.started.items()))
    assert requests <= (most_requests or math.inf)
    assert tokens <= (most_tokens or math.inf)
    assert set(range(len(arrivals))) - set(cancelled) <= set(minutes.started), "nobody waits for ever"


@given(ARRIVALS, MOST_REQUESTS, MOST_TOKENS)
def test_waiting_is_not_busy(
    arrivals: list[tuple[float, int]], most_requests: int | None, most_tokens: int | None
) -> None:
    minutes = Minutes(most_requests, most_tokens)
    minutes.run(arrivals)
    for number, (at, _) in enumerate(arrivals):
        assert minutes.waits[number] == math.ceil((minutes.started[number] - at) / WINDOW_S)


def test_those_behind_cancelled_ones_move_up() -> None:
    minutes = Minutes(1, None)
    minutes.run([(0.0, 0)] * 10 + [(1.0, 0)], cancelled=dict.fromkeys(range(1, 10), 2.0))
    assert minutes.started == {0: 0.0, 10: 61.0}, "at the first look after a minute, instead of after ten"


def test_callers_with_other_limits_count_too() -> None:
    stand = Stand(BLOCKING)
    for most in (3, 3, 2, None):
        stand.run(stand.call(then_well(), requests_per_minute=most))
    assert stand.waits == [60.0]


@pytest.mark.parametrize("inner", [BLOCKING, AWAITING], ids=["threads", "loop"])
def test_repetitions_and_all_callers_share_one_limit(inner: Bridge) -> None:
    stand, sent = Stand(inner), []

    async def attempt() -> None:
        sent.append(stand.clock.now)
        if len(sent) == 1:
            raise TimeoutError

    for _ in range(2):
        stand.run(stand.call(attempt, tokens=50, tokens_per_minute=100, first_wait_s=0))
    assert sent == [0.0, 0.0, 60.0]


@pytest.mark.parametrize("inner", [BLOCKING, AWAITING], ids=["threads", "loop"])
def test_a_request_larger_than_the_limit_is_refused_instead_of_waiting_for_ever(inner: Bridge) -> None:
    stand = Stand(inner)
    with pytest.raises(ConfigError, match=r"1,001 tokens can never .* 1,000 tokens a minute: raise the limit"):
        stand.run(stand.call(raising(AssertionError("sent")), tokens=1001, tokens_per_minute=1000))
    assert stand.waits == []


def test_threads_share_one_limit() -> None:
    rate = Rate(Clock())

    class Full(Exception):
        """There is no room left."""

    class Bridged:
        async def sleep(self, seconds: float) -> None:
            raise Full

    def start(_: int) -> bool:
        try:
            run_blocking(rate.acquire(cast(Bridge, Bridged()), 1, 10))
        except Full:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(start, range(200))) == 10


def test_a_caller_that_is_cancelled_in_the_queue_leaves_nothing_behind() -> None:
    clock = Clock()
    rate = Rate(clock)

    async def body() -> None:
        await rate.acquire(AWAITING, 0, 1)
        waiting = [asyncio.create_task(rate.acquire(AWAITING, 0, 1)) for _ in range(5)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        assert all(
            isinstance(ended, asyncio.CancelledError)
            for ended in await asyncio.gather(*waiting, return_exceptions=True)
        )
        clock.now += WINDOW_S
        await rate.acquire(AWAITING, 0, 1)

    asyncio.run(asyncio.wait_for(body(), 40))
