"""Explain the failures of a model's endpoint to a person: what happened, and what to do."""

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openai

from orchestrator.errors import ModelError
from orchestrator.models.endpoints.loading import is_loading
from orchestrator.models.endpoints.reasons import BROKEN_OFF, is_page, reason_in, tells_page
from orchestrator.models.endpoints.routes import asked_addresses
from orchestrator.models.errors import RefusedRequestError, causes, is_transient, retry_after
from orchestrator.models.proxies import proxy_for
from orchestrator.redaction import redact, redact_error

_UNKNOWN = "the model's endpoint"
_PULL = re.compile(r"model ['\"]?([\w./:-]+)['\"]? (?:not found|was not found|does not exist)", re.IGNORECASE)
_NO_KEY = "Bearer not-needed"  # what `configured` sends where no key is set
_ADVICE = (
    (
        r"context.{0,3}(length|window|size)|too (long|many tokens)|maximum.{0,20}tokens|n_ctx|exceeds?.{0,30}tokens",
        "the model's window is too small for this; set ORCHESTRATOR_CONTEXT_WINDOW to what the server has, or serve "
        "the model with a longer one",
    ),
    (
        r"content.?(filter|policy|management)|ResponsibleAI|safety|moderation|flagged|guardrail",
        "its content filter refuses the text; say the task in other words, or use another model",
    ),
    (r"insufficient.?quota|billing|\bcredits?\b|balance|payment", "check the account's quota and credit"),
)


def as_model_error(error: BaseException) -> ModelError | None:
    """Return the error for a person; None if no endpoint is its cause."""
    return error if isinstance(error, ModelError) else explain(error)


@contextmanager
def explaining() -> Iterator[None]:
    """Raise errors of endpoints inside the block as errors for a person.

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


def note_endpoint(error: BaseException, where: str) -> None:
    """Note on an error which endpoint was asked. Errors of lost connections and of streams do not know it.

    Args:
        error: An error of a client.
        where: The endpoint, for a person; empty if it is not known.
    """
    if where and isinstance(error, openai.OpenAIError):
        error.endpoint = where  # type: ignore[attr-defined]


def explain(error: BaseException, where: str = "") -> ModelError | None:
    """Return an error of the OpenAI client as an error for a person; None for errors of other origin.

    Args:
        error: Any exception.
        where: The endpoint, for errors that do not know theirs.
    """
    if not isinstance(error, openai.OpenAIError):
        return None
    explained = _explain(error, where)
    redact_error(explained)
    return explained


def _explain(error: openai.OpenAIError, where: str) -> ModelError:
    where = where or str(getattr(error, "endpoint", "") or "") or _endpoint_of(error) or _UNKNOWN
    if isinstance(error, openai.APITimeoutError):
        return ModelError(f"no answer from {where} in time: try again, or set ORCHESTRATOR_TIMEOUT_S to more seconds")
    if isinstance(error, openai.APIConnectionError):
        return _explain_connection(error, where)
    if isinstance(error, openai.APIStatusError):
        return _explain_status(error, where)
    reason = reason_in(getattr(error, "message", "") or str(error))
    if tells_page(error):
        asked = f" (asked were {addresses})" if (addresses := asked_addresses(error)) else ""
        reason += f". This is a web page: check --base-url{asked}, and whether a proxy stands between"
    return RefusedRequestError(f"{where}: {reason}")


def _explain_connection(error: openai.APIConnectionError, where: str) -> ModelError:
    if error.message == BROKEN_OFF and error.__cause__ is None:
        return ModelError(f"{where} broke off in the middle of its answer: try again with resume")
    # The text of the error itself is only "Connection error."
    cause = reason_in(str(error.__cause__ or error))
    through = " through the proxy that the environment names" if "://" in where and proxy_for(where) else ""
    advice = "check the address and that the server is running"
    if any(isinstance(link, ssl.SSLError) for link in causes(error)) or re.search(r"\bssl\b|certificate", cause, re.I):
        advice = "check the address; for a certificate of your own, set SSL_CERT_FILE to its authority's file"
        if re.search(r"wrong.version", cause, re.I) or "record layer" in cause.lower():
            advice = "the server does not speak TLS there: write http:// instead of https://"
    return ModelError(f"cannot reach {where}{through} ({cause}): {advice}")


def _explain_status(error: openai.APIStatusError, where: str) -> ModelError:
    reason, status, asked = _reason(error), error.status_code, asked_addresses(error)
    advice = next((told for words, told in _ADVICE if re.search(words, reason, re.IGNORECASE)), "")
    if status != 404 and is_page(_body(error)):
        reason += ", as a web page: a proxy may stand between"
    if moved := _redirection(error):
        return ModelError(f"{where} redirects to {moved}, which answers {status} ({reason}): give that address itself")
    match status:
        case 401 if _has_no_key(error):
            return ModelError(f"{where} wants a key ({reason}): set OPENAI_API_KEY")
        case 401:
            return ModelError(f"{where} refuses the key ({reason}): check OPENAI_API_KEY")
        case 402:
            return ModelError(f"{where} wants to be paid ({reason}): check the account's credit, and resume")
        case 403:
            return ModelError(f"{where} does not allow this ({reason}): {advice or 'check what the key may do'}")
        case 404:
            advice = f"asked were {asked}; check --base-url" if asked else _advice_of_404(reason, where)
            return ModelError(f"{where} knows no such model or path ({reason}): {advice}")
        case 407:
            return ModelError(f"the proxy before {where} wants a login ({reason}): write it into the proxy's address")
        case 429:
            seconds = retry_after(error)
            wait = "wait, or check the quota" if seconds is None else f"wait {seconds:.0f} s, or check the quota"
            return ModelError(f"{where} refuses more requests now ({reason}): {advice or wait}, and resume")
        case _ if is_loading(error):
            return ModelError(f"{where} still loads its model ({reason}): resume when it is ready")
        case _ if asked:
            return ModelError(f"{where} knows no such path ({reason}): asked were {asked}; check --base-url")
        case 410:
            return ModelError(f"{where} does not serve this model any more ({reason}): name another with --model")
        case _ if status >= 500 or is_transient(error):
            return ModelError(f"{where} failed with {status} ({reason}): try again later with resume")
        case _:
            return RefusedRequestError(
                f"{where} refused the request with {status}: {reason}" + (f" ({advice})" if advice else "")
            )


def _redirection(error: openai.APIStatusError) -> str:
    """Return the address to which a request was redirected; empty if it was not, or by a proxy's page."""
    # After 301, 302 and 303, HTTP clients ask by GET and without the request. Keys do not go to other hosts.
    history = getattr(error.response, "history", ())
    url = str(error.response.url).partition("?")[0] if history else ""
    return url.removesuffix("/chat/completions")


def _advice_of_404(reason: str, where: str) -> str:
    if (model := _PULL.search(reason)) and (":11434" in where or "pull" in reason.lower() or "ollama" in where):
        return f"ollama pull {model[1]}, or name another with --model"
    if "://" in where and not re.search(r"/v\d\w*(/|$)|openai\.azure\.com", where) and "model" not in reason.lower():
        return f"does the address have to end in /v1, as in {where.rstrip('/')}/v1? Check --base-url"
    return "check --model and --base-url"


def _has_no_key(error: openai.APIStatusError) -> bool:
    headers = getattr(getattr(error, "request", None), "headers", {})
    return bool(headers.get("Authorization") == _NO_KEY)


def _endpoint_of(error: openai.OpenAIError) -> str:
    request = getattr(error, "request", None)
    url = str(getattr(request, "url", "") or "").partition("?")[0]
    return url.removesuffix("/chat/completions").removesuffix("/models") if "://" in url else ""


def reason_of(error: openai.APIStatusError) -> str:
    """Return the endpoint's own words in an error, without secrets."""
    return redact(_reason(error))


def _reason(error: openai.APIStatusError) -> str:
    # The client keeps only what stands under `error`, where there is such a field.
    reason = reason_in(_body(error), error.status_code)
    own = reason_in(error.body, error.status_code) if error.body else ""
    return own if len(own) > len(reason) else reason


def _body(error: openai.APIStatusError) -> Any:
    try:
        return error.response.content or error.body or _message(error)
    except Exception:  # noqa: BLE001 - the body of a stream that was not read
        return error.body or _message(error)


def _message(error: openai.APIStatusError) -> str:
    return "" if re.fullmatch(r"Error code: \d+", error.message) else error.message
