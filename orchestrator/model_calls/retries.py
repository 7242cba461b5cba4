"""Retries: repeats failed requests to an endpoint, within its circuit breaker and rate limits.

Only transient failures are retried: too many requests, server errors, timeouts, lost connections. A refusal (a wrong
key, a malformed request) is raised at once. Tenacity drives the retries and waits through the bridge.
"""

import threading
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from pydantic import ConfigDict, Field
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from orchestrator.concurrency import Bridge
from orchestrator.forks import forget_in_children
from orchestrator.logs import logger
from orchestrator.model_calls.circuit_breaker import Circuit
from orchestrator.model_calls.rate_limit import Rate
from orchestrator.models.endpoints.loading import is_loading
from orchestrator.models.errors import endpoint_health, is_transient, retry_after
from orchestrator.validation import Checked

T = TypeVar("T")
LONGEST_RETRY_AFTER_S = 60.0
_POLL_S = 5.0


class Resilience(Checked):
    """Settings for failing and busy endpoints.

    Args:
        retries: Most repetitions of a failed request.
        first_wait_s: Longest wait before the first repetition, in seconds. It doubles each time. The real wait is
            random below it, so that many workers do not come back at once.
        longest_wait_s: Upper bound of that wait. A `Retry-After` of the endpoint goes before both, up to a minute. If
            the endpoint asks for more, the error is raised at once.
        circuit_failures: Failures in a row after which no request is sent to an endpoint.
        circuit_reset_s: Seconds until the endpoint is tried again.
        longest_loading_s: Seconds to wait for an endpoint that says that it loads its model. It is asked every few
            seconds, which is no repetition and no failure. 0 treats it like any failure.
        requests_per_minute: Most requests to one endpoint, by all workers of the process together.
        tokens_per_minute: Most tokens of prompts to one endpoint, by all workers together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    retries: int = Field(default=2, ge=0)
    first_wait_s: float = Field(default=0.5, ge=0)
    longest_wait_s: float = Field(default=30.0, ge=0)
    circuit_failures: int = Field(default=5, ge=1)
    circuit_reset_s: float = Field(default=30.0, ge=0)
    longest_loading_s: float = Field(default=300.0, ge=0)
    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)


class Endpoints:
    """The circuits and rates of all endpoints that were asked in this process.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.forget_parent()
        forget_in_children(self)

    def forget_parent(self) -> None:
        """Begin without endpoints: waiters of a forked child's parent must not be counted here."""
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Circuit, Rate]] = {}
        self._loading: set[str] = set()

    def of(self, endpoint: str) -> tuple[Circuit, Rate]:
        """Return the circuit and the rate of an endpoint, always the same ones."""
        with self._lock:
            if endpoint not in self._known:
                self._known[endpoint] = Circuit(endpoint, self._clock), Rate(self._clock)
            return self._known[endpoint]

    def begins_loading(self, endpoint: str) -> bool:
        """Note that an endpoint loads its model. True if no other request has noted it."""
        with self._lock:
            is_news = endpoint not in self._loading
            self._loading.add(endpoint)
            return is_news

    def loaded(self, endpoint: str) -> None:
        """Note that an endpoint has answered, or is not waited for any more."""
        with self._lock:
            self._loading.discard(endpoint)

    def now(self) -> float:
        """Return the seconds of the clock."""
        return self._clock()


OnWait = Callable[[str, float], None]
"""Takes the reason and the seconds of a wait."""

ENDPOINTS = Endpoints()
_log = logger(__name__)


async def call_endpoint(
    bridge: Bridge,
    endpoint: str,
    settings: Resilience,
    attempt: Callable[[], Coroutine[Any, Any, T]],
    *,
    tokens: int = 0,
    endpoints: Endpoints = ENDPOINTS,
    on_loading: Callable[[], None] = lambda: None,
    on_wait: OnWait = lambda *_: None,
) -> T:
    """Make a request, and repeat it after transient failures.

    Args:
        bridge: How to wait.
        endpoint: Key of the endpoint; see `ModelProfile.endpoint`.
        settings: Retries and limits.
        attempt: Makes one request.
        tokens: Tokens of the prompt, for the limit of tokens a minute.
        endpoints: Keeps the state of the endpoint.
        on_loading: Called when the endpoint is found loading its model, by the first of the requests that wait for it.
        on_wait: Called before a wait, with its reason (`rate` for the caller's own limit, `service` for the endpoint)
            and its seconds.

    Raises:
        CircuitOpenError: The endpoint has failed too often just now. Nothing was sent.
        ConfigError: The request alone is larger than the limit of tokens a minute.
    """
    circuit, rate = endpoints.of(endpoint)
    requests, most_tokens = settings.requests_per_minute, settings.tokens_per_minute
    after = (settings.circuit_failures, settings.circuit_reset_s)

    async def once() -> T:
        if requests is not None or most_tokens is not None:
            circuit.check(*after)  # do not queue for a dead endpoint
            await rate.acquire(bridge, tokens, requests, most_tokens, partial(on_wait, "rate"))
        with circuit.request(*after, endpoint_health):
            return await attempt()

    tried = partial(_once_loaded, bridge, endpoint, settings, once, endpoints, on_loading, on_wait)

    if settings.retries == 0:
        return await tried()
    # AsyncRetrying (tenacity 9) suspends in `sleep` only, so it also runs on the blocking bridge.
    retrying = AsyncRetrying(
        sleep=bridge.sleep,
        wait=_pauses(endpoint, settings, on_wait),
        stop=stop_after_attempt(settings.retries + 1),
        # With the circuit open, a repetition would wait and then fail without a request.
        retry=retry_if_exception(lambda error: _is_worth_another(error, settings) and not circuit.is_open(*after)),
        reraise=True,
    )
    return await retrying(tried)


def _pauses(endpoint: str, settings: Resilience, on_wait: OnWait) -> Callable[[RetryCallState], float]:
    """Return a function that gives the seconds before a repetition, and tells of them."""
    backoff = wait_random_exponential(multiplier=settings.first_wait_s, max=settings.longest_wait_s)

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked_s = retry_after(error) if error else None
        seconds = backoff(state) if asked_s is None else asked_s
        _log.warning("%s failed (%s): trying again in %.1f s", endpoint, error, seconds)
        on_wait("service", seconds)
        return seconds

    return wait


async def _once_loaded(
    bridge: Bridge,
    endpoint: str,
    settings: Resilience,
    once: Callable[[], Coroutine[Any, Any, T]],
    endpoints: Endpoints,
    on_loading: Callable[[], None],
    on_wait: OnWait,
) -> T:
    """Make a request, and make it again while the endpoint loads its model."""
    end, wait_s = endpoints.now() + settings.longest_loading_s, settings.first_wait_s
    try:
        while True:
            try:
                return await once()
            except Exception as error:
                pause = min(retry_after(error) or wait_s, LONGEST_RETRY_AFTER_S)
                # Without a pause, the clock of `end` might not pass.
                if not is_loading(error) or pause <= 0 or endpoints.now() + pause > end:
                    raise
                if endpoints.begins_loading(endpoint):
                    _log.warning("%s loads its model: waiting up to %.0f s", endpoint, settings.longest_loading_s)
                    on_loading()
            on_wait("service", pause)
            await bridge.sleep(pause)
            wait_s = min(2 * wait_s, _POLL_S)
    finally:
        endpoints.loaded(endpoint)


def _is_worth_another(error: BaseException, settings: Resilience) -> bool:
    is_waited_for = is_loading(error) and settings.longest_loading_s > 0  # the whole wait is over then
    return is_transient(error) and not is_waited_for and (retry_after(error) or 0.0) <= LONGEST_RETRY_AFTER_S
