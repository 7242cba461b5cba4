"""Explain the failures of a model's endpoint to a person: what happened, and what to do."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import openai

from orchestrator.errors import ModelError
from orchestrator.models.errors import RefusedRequestError
from orchestrator.models.proxies import OPENAI_URL, proxy_for
from orchestrator.redaction import redact_error
from orchestrator.text import shorten

_MOST_CHARS = 300


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
    where = _endpoint_of(error) or where or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL
    detail = _detail(error)
    if isinstance(error, openai.APITimeoutError):
        return ModelError(f"no answer from {where} in time: try again, or set ORCHESTRATOR_TIMEOUT_S to more seconds")
    if isinstance(error, openai.APIConnectionError):
        # The text of the error itself is only "Connection error."
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
    message = body.get("message") if isinstance(body, dict) else None
    return shorten(str(message or error), _MOST_CHARS)  # openai 3: `str(error)` repeats the whole body
