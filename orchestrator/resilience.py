"""Resilience: what is done when a model's endpoint fails, or must not be asked too often.

Only what can pass is tried again: too many requests, failures of the server, timeouts, lost connections. A refusal
(a wrong key, a malformed request) is raised at once. Tenacity drives the retries; its waiting goes through the bridge.
"""

import re
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx2
import langchain_core.exceptions as langchain_errors
import openai
from langchain_core.language_models import BaseChatModel
from pydantic import BaseModel, ConfigDict, Field
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from orchestrator.bridge import Bridge
from orchestrator.circuit import Circuit, CircuitOpenError, Sign
from orchestrator.errors import OrchestratorError
from orchestrator.prices import model_name
from orchestrator.rate import Rate

T = TypeVar("T")
LONGEST_RETRY_AFTER_S = 60.0
_PASSING = frozenset({408, 409, 425, 429})
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_REFUSALS = (
    langchain_errors.ModelAuthenticationError,
    langchain_errors.ModelPermissionDeniedError,
    langchain_errors.ModelInvalidRequestError,
    langchain_errors.ModelNotFoundError,
    langchain_errors.ModelRateLimitError,
    langchain_errors.ContextOverflowError,
)
_ADDRESSES = ("openai_api_base", "azure_endpoint", "base_url", "anthropic_api_url", "endpoint_url", "label")


class Resilience(BaseModel):
    """Settings.

    Args:
        retries: How often a failed request is repeated.
        first_wait_s: Longest wait before the first repetition, in seconds; it doubles each time, and the real wait
            is random below it, so that many workers do not come back at once.
        longest_wait_s: It does not grow beyond this. A `Retry-After` of the endpoint goes before both, up to a minute;
            where it asks for more, the error is raised at once.
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


class Endpoints:
    """The circuits and rates of all endpoints that were asked.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Circuit, Rate]] = {}

    def of(self, endpoint: str) -> tuple[Circuit, Rate]:
        """The circuit and the rate of an endpoint; always the same ones."""
        with self._lock:
            if endpoint not in self._known:
                self._known[endpoint] = Circuit(endpoint, self._clock), Rate(self._clock)
            return self._known[endpoint]


OF_THIS_PROCESS = Endpoints()


async def call_endpoint(
    bridge: Bridge,
    endpoint: str,
    settings: Resilience,
    attempt: Callable[[], Coroutine[Any, Any, T]],
    *,
    tokens: int = 0,
    endpoints: Endpoints = OF_THIS_PROCESS,
) -> T:
    """Makes a request, and makes it again where that can help.

    Args:
        bridge: How to wait.
        endpoint: Whom it goes to; see `endpoint_of`.
        settings: How often, and how fast.
        attempt: Makes one request.
        tokens: Tokens of its prompt, for the limit of tokens a minute.
        endpoints: Where the state of the endpoint is kept.

    Raises:
        CircuitOpenError: The endpoint has failed too often just now; nothing was sent.
        ConfigError: The request alone is larger than the limit of tokens a minute.
    """
    circuit, rate = endpoints.of(endpoint)
    requests, most_tokens = settings.requests_per_minute, settings.tokens_per_minute
    after = (settings.circuit_failures, settings.circuit_reset_s)

    async def once() -> T:
        if requests is not None or most_tokens is not None:
            circuit.check(*after)  # a dead endpoint is not queued for
            await rate.acquire(bridge, tokens, requests, most_tokens)
        with circuit.request(*after, _sign):
            return await attempt()

    def is_worth_another(error: BaseException) -> bool:
        return may_pass(error) and (retry_after(error) or 0.0) <= LONGEST_RETRY_AFTER_S and not circuit.is_open(*after)

    backoff = wait_random_exponential(multiplier=settings.first_wait_s, max=settings.longest_wait_s)

    def wait(state: RetryCallState) -> float:
        told = retry_after(error) if state.outcome and (error := state.outcome.exception()) else None
        return backoff(state) if told is None else told

    if settings.retries == 0:
        return await once()
    # Nothing in it suspends but `sleep`, so that it serves the blocking bridge too.
    retrying = AsyncRetrying(
        sleep=bridge.sleep,
        wait=wait,
        stop=stop_after_attempt(settings.retries + 1),
        retry=retry_if_exception(is_worth_another),
        reraise=True,
    )
    return await retrying(once)


def may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed a little later."""
    if not isinstance(error, Exception) or isinstance(error, OrchestratorError):
        return False  # cancelled, or an error of the engine's own, which has said what to do
    if (status := _status(error)) is not None:
        return (status in _PASSING or status >= 500) and not _is_quota_spent(error)
    if any(isinstance(link, _wrong_use()) for link in _chain(error)):
        return False
    if isinstance(error, langchain_errors.ModelError):
        return error.is_retryable
    transport = _transport("TransportError")
    lost = isinstance(error, (TimeoutError, ConnectionError, openai.APIConnectionError, *transport))
    return lost or isinstance(error.__cause__, transport)


def was_refused(error: BaseException) -> bool:
    """Whether it is certain that a request cost nothing: it was answered with a refusal, or never sent.

    A failure of the server, a timeout and a connection that was lost may all have come after the work was done. A
    connection that was never made (refused, unknown host, or a time limit for connecting alone) has carried nothing.
    """
    if isinstance(error, OrchestratorError):
        return isinstance(error, CircuitOpenError)
    if (status := _status(error)) is not None:
        return 400 <= status < 500
    unsent = _transport("ConnectError", "ConnectTimeout", "PoolTimeout")
    never_sent = any(isinstance(link, (ConnectionRefusedError, socket.gaierror, *unsent)) for link in _chain(error))
    return never_sent or isinstance(error, _REFUSALS)


def retry_after(error: BaseException, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> float | None:
    """Seconds for which the endpoint asks to be left alone; None where it does not say.

    Args:
        error: Any exception; those with a response have headers.
        now: The time of day, for a `Retry-After` that names a date.
    """
    headers = getattr(getattr(error, "response", None), "headers", None)
    if headers is None:
        return None
    milliseconds, text = (str(headers.get(name) or "").strip() for name in ("retry-after-ms", "retry-after"))
    if _NUMBER.fullmatch(milliseconds):
        return float(milliseconds) / 1000
    if _NUMBER.fullmatch(text):
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None  # neither a number nor a date
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - now()).total_seconds())


def endpoint_of(model: BaseChatModel) -> str:
    """What tells the endpoint of one model from another's: its address, or else its class, and the model's name."""
    held = vars(model)  # asking a pydantic model for what it has not takes long, and this is asked for every call
    given = [held.get(name) for name in _ADDRESSES]
    client = getattr(held.get("root_client"), "base_url", None)
    where = next((str(address) for address in (*given, client) if address), type(model).__name__)
    return f"{where.rstrip('/')} ({model_name(model)})"


def _sign(error: BaseException) -> Sign:
    """What an error says about the endpoint: one that refuses, or asks to wait, is alive."""
    if (status := _status(error)) is not None:
        return "dead" if status >= 500 else "alive"
    if isinstance(error, _REFUSALS):
        return "alive"
    return "dead" if may_pass(error) else "none"


def _status(error: BaseException) -> int | None:
    """The HTTP status of the endpoint's answer; None where there was no answer."""
    for holder in (error, getattr(error, "response", None)):
        if isinstance(status := getattr(holder, "status_code", None), int):
            return status
    return None


def _is_quota_spent(error: BaseException) -> bool:
    return "insufficient_quota" in (getattr(error, "code", None), getattr(error, "type", None))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was raised from; clients and LangChain wrap what the connection raised."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__


def _wrong_use() -> tuple[type[BaseException], ...]:
    """What looks like a lost connection and will be the same next time."""
    return (ssl.SSLCertVerificationError, *_transport("UnsupportedProtocol", "LocalProtocolError"))


def _transport(*names: str) -> tuple[type[BaseException], ...]:
    """Errors of httpx2, and of httpx where a model's client has loaded it."""
    modules = [httpx2, *([sys.modules["httpx"]] if "httpx" in sys.modules else [])]
    return tuple(getattr(module, name) for module in modules for name in names)
