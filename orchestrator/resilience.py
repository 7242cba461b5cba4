"""Resilience: what is done when a model's endpoint fails, or must not be asked too often.

Only what can pass is tried again: too many requests, failures of the server, timeouts, lost connections. A refusal
(a wrong key, a malformed request) is raised at once. Tenacity drives the retries; its waiting goes through the bridge.
"""

import re
import threading
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx2
import openai
from langchain_core.language_models import BaseChatModel
from pydantic import BaseModel, ConfigDict, Field
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from orchestrator.bridge import Bridge
from orchestrator.circuit import Circuit, CircuitOpenError
from orchestrator.prices import model_name
from orchestrator.rate import Rate

T = TypeVar("T")
LONGEST_RETRY_AFTER_S = 60.0
_PASSING = frozenset({408, 409, 425, 429})
_LOST = (TimeoutError, ConnectionError, httpx2.TransportError)


class Resilience(BaseModel):
    """Settings.

    Args:
        retries: How often a failed request is repeated.
        first_wait_s: Longest wait before the first repetition, in seconds; it doubles each time, and the real wait
            is random below it, so that many workers do not come back at once.
        longest_wait_s: It does not grow beyond this. A `Retry-After` of the endpoint goes before both, up to a minute.
        circuit_failures: Failures in a row after which an endpoint is left alone.
        circuit_reset_s: For how long, in seconds.
        requests_per_minute: Most requests to one endpoint, by all workers of the process together.
        tokens_per_minute: Most tokens of prompts, likewise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    retries: int = Field(default=2, ge=0)
    first_wait_s: float = Field(default=0.5, ge=0)
    longest_wait_s: float = Field(default=30.0, ge=0)
    circuit_failures: int = Field(default=5, ge=1)
    circuit_reset_s: float = Field(default=30.0, ge=0)
    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)


_lock = threading.Lock()
_circuits: dict[tuple[str, int, float], Circuit] = {}
_rates: dict[tuple[str, int | None, int | None], Rate] = {}


def circuit_of(endpoint: str, settings: Resilience) -> Circuit:
    """The circuit of an endpoint, one for the whole process."""
    key = (endpoint, settings.circuit_failures, settings.circuit_reset_s)
    with _lock:
        if key not in _circuits:
            _circuits[key] = Circuit(*key)
        return _circuits[key]


def rate_of(endpoint: str, settings: Resilience) -> Rate:
    """The rate of an endpoint, one for the whole process."""
    key = (endpoint, settings.requests_per_minute, settings.tokens_per_minute)
    with _lock:
        if key not in _rates:
            _rates[key] = Rate(*key[1:])
        return _rates[key]


async def call_endpoint(
    bridge: Bridge,
    endpoint: str,
    settings: Resilience,
    attempt: Callable[[], Coroutine[Any, Any, T]],
    *,
    tokens: int = 0,
) -> T:
    """Makes a request, and makes it again where that can help.

    Args:
        bridge: How to wait.
        endpoint: Whom it goes to; see `endpoint_of`.
        settings: How often, and how fast.
        attempt: Makes one request.
        tokens: Tokens of its prompt, for the limit of tokens a minute.

    Raises:
        CircuitOpenError: The endpoint has failed too often just now.
    """
    circuit = circuit_of(endpoint, settings)
    limited = settings.requests_per_minute is not None or settings.tokens_per_minute is not None

    async def once() -> T:
        if limited:
            await rate_of(endpoint, settings).acquire(bridge, tokens)
        with circuit.attempt(_speaks_against):
            return await attempt()

    if settings.retries == 0:
        return await once()
    backoff = wait_random_exponential(multiplier=settings.first_wait_s, max=settings.longest_wait_s)

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        told = retry_after(error) if error is not None else None
        return told if told is not None else backoff(state)

    retrying = AsyncRetrying(
        sleep=bridge.sleep,
        wait=wait,
        stop=stop_after_attempt(settings.retries + 1),
        retry=retry_if_exception(lambda error: may_pass(error) and not _told_to_wait_long(error)),
        reraise=True,
    )
    return await retrying(once)


def _told_to_wait_long(error: BaseException) -> bool:
    told = retry_after(error)
    return told is not None and told > LONGEST_RETRY_AFTER_S


def _speaks_against(error: BaseException) -> bool:
    """Whether an endpoint that fails like this may be dead: one that refuses, or asks to wait, is not."""
    return may_pass(error) and getattr(error, "status_code", None) != 429


def may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed a little later."""
    if isinstance(error, CircuitOpenError):
        return False
    if isinstance(error, openai.APIStatusError):
        if error.status_code == 429:
            return error.code != "insufficient_quota"
        return error.status_code in _PASSING or error.status_code >= 500
    return isinstance(error, (openai.APIConnectionError, *_LOST))


def was_refused(error: BaseException) -> bool:
    """Whether it is certain that a request cost nothing: it was answered with a refusal, or never sent.

    A failure of the server, a timeout and a connection that was lost may all have come after the work was done.
    """
    if isinstance(error, CircuitOpenError):
        return True
    if isinstance(error, openai.APIStatusError):
        return error.status_code < 500
    if isinstance(error, openai.APIConnectionError) and not isinstance(error, openai.APITimeoutError):
        return isinstance(error.__cause__, httpx2.ConnectError)
    return isinstance(error, httpx2.ConnectError | ConnectionRefusedError)


def retry_after(error: BaseException) -> float | None:
    """Seconds for which the endpoint asks to be left alone; None where it does not say."""
    headers = getattr(getattr(error, "response", None), "headers", None)
    if headers is None:
        return None
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        if (seconds := _seconds(headers.get(name))) is not None:
            return seconds * unit
    return None


def _seconds(text: str | None) -> float | None:
    if not text:
        return None
    if re.fullmatch(r"\s*\d+(\.\d+)?\s*", text):
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None  # neither a number nor a date
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def endpoint_of(model: BaseChatModel) -> str:
    """What tells the endpoint of one model from another's: its address and the model's name."""
    where = str(getattr(model, "openai_api_base", None) or getattr(model, "label", "") or type(model).__name__)
    return f"{where} ({model_name(model)})"
