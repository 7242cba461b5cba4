"""Classify the failures of a model's endpoint: retry, refusal, cost, and the health of the endpoint.

This is the only place where the engine draws conclusions from an HTTP status or from a client's class of error. The
texts that a person reads are in `error_texts`.
"""

import re
import socket
import ssl
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

import httpx2
import langchain_core.exceptions as langchain_errors
import openai

from orchestrator.errors import CircuitOpenError, ModelError, OrchestratorError
from orchestrator.models.endpoints.loading import is_loading

# These say nothing against the request itself: a wrong key or address, an account without money, a wrong moment.
_NOT_REFUSALS = frozenset({401, 402, 403, 404, 405, 408, 409, 424, 425, 429, 498, 499})
# 424 is a failed model at Hugging Face, 498 a lack of capacity at Groq, 499 a request that a gateway gave up.
_TRANSIENT = frozenset({408, 409, 424, 425, 429, 498, 499})
_MAY_HAVE_COST = frozenset({408, 424, 499})  # the model may have worked
# `float` alone would take "nan", "inf" and "1_0" too.
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_SPAN = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|h|m|s)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_AGAIN_IN = re.compile(
    r"(?:try again|retry|wait)\s+(?:in|after|for)\s+((?:[0-9]+(?:\.[0-9]+)?\s*(?:ms|h|m|s)[a-z]*\s*)+)", re.IGNORECASE
)
# A field in the body, such as Gemini's `retryDelay` and `retry_after_ms`.
_FIELD = re.compile(
    r"retry_?(?:delay|after|in)(?:_?(ms|millis\w*)|_?(?:s|secs?|seconds))?['\"]?\s*[:=]\s*['\"]?"
    r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)?(?![\w.])",
    re.IGNORECASE,
)
_RESET_IN_BODY = re.compile(r"x-ratelimit-reset['\"]?\s*:\s*['\"]?([0-9]+)", re.IGNORECASE)  # OpenRouter
_LIMITS = (("-requests", "-tokens"), ("",))  # of OpenAI and many others; of OpenRouter, GitHub and the IETF
_FIRST_TIME = 1e9  # in Unix seconds; no wait is as long
# LangChain's own classes, for clients of other vendors, whose errors need not have a status.
_ANSWERED = (
    langchain_errors.ModelAuthenticationError,
    langchain_errors.ModelPermissionDeniedError,
    langchain_errors.ModelInvalidRequestError,
    langchain_errors.ModelNotFoundError,
    langchain_errors.ModelRateLimitError,
    langchain_errors.ContextOverflowError,
)

EndpointHealth = Literal["alive", "dead", "none"]
"""Conclusion about an endpoint from the end of a request; `none` if the request was cancelled or never sent."""


class RefusedRequestError(ModelError):
    """The endpoint accepted the connection and the key, and refused this one request."""


def is_endpoint_failure(error: BaseException) -> bool:
    """True if an error came from a model's endpoint, so that a fallback model may succeed."""
    return isinstance(error, ModelError | openai.OpenAIError) or is_transient(error)


def is_refusal(error: BaseException) -> bool:
    """True if an endpoint refused the content of a request, for example its length.

    The same request would be refused again, so waiting does not help.
    """
    if isinstance(error, openai.APIStatusError):
        return error.status_code < 500 and error.status_code not in _NOT_REFUSALS
    if isinstance(error, openai.APIError):
        return False  # no status: a lost connection, or an answer that is no completion, as of a wrong address or proxy
    return isinstance(error, RefusedRequestError | openai.OpenAIError)


def is_transient(error: BaseException) -> bool:
    """True if the same request may succeed a little later."""
    if not isinstance(error, Exception) or isinstance(error, OrchestratorError):
        return False  # cancelled, or an error of the engine's own, which already says what to do
    if (status := _status(error)) is not None:
        return (status in _TRANSIENT or status >= 500) and not _is_quota_spent(error)
    if any(isinstance(link, _wrong_use()) for link in causes(error)):
        return False
    if isinstance(error, langchain_errors.ModelError):
        return error.is_retryable
    transport = _transport_errors("TransportError")
    lost = isinstance(error, (TimeoutError, ConnectionError, openai.APIConnectionError, *transport))
    return lost or isinstance(error.__cause__, transport)


def cost_nothing(error: BaseException) -> bool:
    """True if a failed request certainly cost nothing: the endpoint refused the request, or never received it.

    After a failure of the server, a timeout or a lost connection, the endpoint may already have done the work.
    """
    if isinstance(error, OrchestratorError):
        return isinstance(error, CircuitOpenError)
    if (status := _status(error)) is not None:
        return (400 <= status < 500 and status not in _MAY_HAVE_COST) or is_loading(error)
    unsent = _transport_errors("ConnectError", "ConnectTimeout", "PoolTimeout")
    never_sent = any(isinstance(link, (ConnectionRefusedError, socket.gaierror, *unsent)) for link in causes(error))
    return never_sent or isinstance(error, _ANSWERED)


def retry_after(error: BaseException, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> float | None:
    """Return the seconds that the endpoint asks to wait; None if its answer does not say.

    Args:
        error: Any exception; those with a response have headers.
        now: The time of day, for a `Retry-After` that names a date.
    """
    headers = getattr(getattr(error, "response", None), "headers", None)
    if headers is None:
        return None
    if _status(error) == 429 and "retry-after" not in headers and "retry-after-ms" not in headers:
        return _until_reset(headers, f"{error} {getattr(error, 'body', None) or ''}", now())
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


def _until_reset(headers: Mapping[str, str], text: str, now: datetime) -> float | None:
    """Return the seconds until a limit of the endpoint is reset, as its words or its other headers say."""
    if found := _AGAIN_IN.search(text):
        return _seconds(found[1])
    if found := _FIELD.search(text):
        return _seconds(found[2] + (found[3] or ("ms" if found[1] else "")))
    if found := _RESET_IN_BODY.search(text):
        return _until(found[1], now)
    for kinds in _LIMITS:
        left = [_limit_header(headers, f"remaining{kind}") for kind in kinds]
        for remaining in ("0", ""):  # limits that are spent, or else those of which nothing is known
            resets = [
                _limit_header(headers, f"reset{kind}") for kind, of in zip(kinds, left, strict=True) if of == remaining
            ]
            waits = [wait for reset in resets if (wait := _until(reset, now)) is not None]
            if waits:
                return max(waits)
    return None


def _limit_header(headers: Mapping[str, str], name: str) -> str:
    return headers.get(f"x-ratelimit-{name}") or headers.get(f"ratelimit-{name}") or ""


def _until(reset: str, now: datetime) -> float | None:
    """Return the seconds until a reset, which is told as a span or as a time in Unix seconds or milliseconds."""
    seconds = _seconds(reset)
    if seconds is None or seconds < _FIRST_TIME:
        return seconds
    at = seconds / 1000 if seconds >= 1000 * _FIRST_TIME else seconds
    return max(0.0, at - now.timestamp())


def _seconds(text: str) -> float | None:
    """Return the seconds in a text such as 20s, 1.5, 6m0s or 120ms; None for anything else."""
    text = text.strip().rstrip(".").lower()
    if _NUMBER.fullmatch(text):
        return float(text)
    parts = _SPAN.findall(text)
    return sum(float(count) * _UNITS[unit] for count, unit in parts) if parts else None


def endpoint_health(error: BaseException) -> EndpointHealth:
    """Return the conclusion about the endpoint: one that refuses, or asks to wait, is alive."""
    if (status := _status(error)) is not None:
        return "dead" if status >= 500 and not is_loading(error) else "alive"
    if isinstance(error, _ANSWERED):
        return "alive"
    return "dead" if is_transient(error) else "none"


def _status(error: BaseException) -> int | None:
    """Return the HTTP status of the endpoint's answer; None without an answer."""
    for holder in (error, getattr(error, "response", None)):
        if isinstance(status := getattr(holder, "status_code", None), int):
            return status
    return None


def _is_quota_spent(error: BaseException) -> bool:
    # OpenAI answers 429 for an account without credit too, and then waiting does not help.
    return "insufficient_quota" in (getattr(error, "code", None), getattr(error, "type", None))


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes: clients and LangChain wrap the errors of the connection."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__


def _wrong_use() -> tuple[type[BaseException], ...]:
    """Return the errors that look like a lost connection, and would come again at every try."""
    return (ssl.SSLCertVerificationError, *_transport_errors("UnsupportedProtocol", "LocalProtocolError"))


def _transport_errors(*names: str) -> tuple[type[BaseException], ...]:
    """Return errors of httpx2, and those of httpx if a model's client has loaded it."""
    # Importing httpx only for its errors would load a second HTTP library.
    modules = [httpx2, *([sys.modules["httpx"]] if "httpx" in sys.modules else [])]
    return tuple(getattr(module, name) for module in modules for name in names)
