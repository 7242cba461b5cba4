"""Which errors come from a model's endpoint, and which of those would come again whatever is mended around it."""

import os
import re
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

import httpx2
import langchain_core.exceptions as langchain_errors
import openai

from orchestrator.errors import ModelError, OrchestratorError
from orchestrator.models.openai_compatible import OPENAI_URL
from orchestrator.models.proxies import proxy_for

# Refused for now: an account without money, a wrong address, a request that came at the wrong moment.
_MENDABLE = frozenset({402, 405, 408, 409, 425})
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

EndpointHealth = Literal["alive", "dead", "none"]
"""What the end of a request says about its endpoint; `none` for a cancelled one, or one that was never sent."""


class CircuitOpenError(ModelError):
    """An endpoint has failed too often, and is left alone for a while; nothing was sent.

    Args:
        endpoint: Which one.
        last_failure: What happened last.
        retry_in_s: Seconds until it is tried again; 0 while it is being tried.
    """

    def __init__(self, endpoint: str, last_failure: str, retry_in_s: float) -> None:
        when = f"is tried again in {retry_in_s:.0f} s" if retry_in_s > 0 else "is being tried again just now"
        super().__init__(f"{endpoint} keeps failing (last: {last_failure}) and {when}: resume then")
        self.endpoint = endpoint
        self.last_failure = last_failure
        self.retry_in_s = retry_in_s


def as_model_error(error: BaseException) -> ModelError | None:
    """The error as a person should read it; None where no endpoint is its cause."""
    return error if isinstance(error, ModelError) else explain(error)


@contextmanager
def explaining() -> Iterator[None]:
    """What is raised inside is raised as a person should read it, where an endpoint is the cause.

    Raises:
        ModelError: See `explain`.
    """
    try:
        yield
    except Exception as error:
        explained = as_model_error(error)
        if explained is None or explained is error:
            raise
        raise explained from error


def is_refusal(error: BaseException) -> bool:
    """Whether an endpoint refused this one request for what is in it: too long, say, or against its rules.

    The same request would be refused again, so there is nothing to wait for.
    """
    if not isinstance(as_model_error(error), RefusedRequestError):
        return False
    if isinstance(error, openai.APIStatusError):
        return error.status_code not in _MENDABLE
    return not isinstance(error, openai.APIError)  # an answer that is no answer: the address or a proxy is wrong


def is_endpoint_failure(error: BaseException) -> bool:
    """Whether an error came from a model's endpoint, so that another endpoint may do better."""
    return isinstance(error, ModelError | openai.OpenAIError) or is_transient(error)


class RefusedRequestError(ModelError):
    """The endpoint took the connection and the key, and refused this one request."""


def explain(error: BaseException, where: str = "") -> ModelError | None:
    """What an error of the OpenAI client means to a person; None for errors of other origin.

    Args:
        error: Any exception.
        where: The endpoint, when the error does not know it.
    """
    if not isinstance(error, openai.OpenAIError):
        return None
    where = _endpoint_of(error) or where or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL
    detail = _detail(error)
    if isinstance(error, openai.APITimeoutError):
        return ModelError(f"no answer from {where} in time: try again, or set ORCHESTRATOR_TIMEOUT_S to more seconds")
    if isinstance(error, openai.APIConnectionError):
        cause = str(error.__cause__ or error)
        through = " through the proxy that the environment names" if proxy_for(where) else ""
        return ModelError(f"cannot reach {where}{through} ({cause}): check the address and that the server is running")
    if isinstance(error, openai.APIStatusError):
        return _explain_status(error, where, detail)
    return RefusedRequestError(f"{where}: {detail}")


def _explain_status(error: openai.APIStatusError, where: str, detail: str) -> ModelError:
    match error.status_code:
        case 401:
            return ModelError(f"{where} refuses the key ({detail}): check OPENAI_API_KEY")
        case 403:
            return ModelError(f"{where} does not allow this ({detail}): check what the key may do")
        case 404:
            return ModelError(f"{where} knows no such model or path ({detail}): check --model and --base-url")
        case 429:
            return ModelError(f"{where} refuses more requests now ({detail}): wait, or check the quota, and resume")
        case status if status >= 500:
            return ModelError(f"{where} failed with {status} ({detail}): try again later with resume")
        case status:
            return RefusedRequestError(f"{where} refused the request with {status}: {detail}")


def _endpoint_of(error: openai.OpenAIError) -> str:
    request = getattr(error, "request", None)
    url = str(getattr(request, "url", "") or "")
    return url.removesuffix("/chat/completions").removesuffix("/models") if "://" in url else ""


def _detail(error: openai.OpenAIError) -> str:
    body = getattr(error, "body", None)
    found = body.get("message") if isinstance(body, dict) else None
    text = str(found or error)
    return text if len(text) <= 300 else text[:299] + "…"


def is_transient(error: BaseException) -> bool:
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


def cost_nothing(error: BaseException) -> bool:
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


def endpoint_health(error: BaseException) -> EndpointHealth:
    """What an error says about the endpoint: one that refuses, or asks to wait, is alive."""
    if (status := _status(error)) is not None:
        return "dead" if status >= 500 else "alive"
    if isinstance(error, _REFUSALS):
        return "alive"
    return "dead" if is_transient(error) else "none"


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
