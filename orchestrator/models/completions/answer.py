"""Answers of endpoints, whatever their content type: completions, streams as one text, and errors with status 200."""

import json
from typing import Any

import httpx2
import openai

from orchestrator.redaction import redact

_ERROR_FIELDS = ("message", "detail", "msg", "error_msg", "error_message")
_STATUSES = range(400, 600)


def parsed(answer: object) -> object:
    """Return an answer's JSON. The client reads JSON only where the content type names it.

    Args:
        answer: The answer as the client gives it.

    Returns:
        The JSON, or the text itself if it is none, as for a stream that nobody asked for.
    """
    if isinstance(answer, bytes):
        answer = answer.decode("utf-8", "replace")
    if not isinstance(answer, str):
        return answer
    try:
        value: object = json.loads(answer.lstrip("\ufeff \r\n\t"))
    except (ValueError, RecursionError):
        return answer
    return value


def is_stream(answer: object) -> bool:
    """True if an answer is the text of server-sent events."""
    return isinstance(answer, str) and answer.lstrip("\ufeff \r\n\t").startswith(("data:", "event:", ":", "id:"))


def completion_of(answer: object) -> dict[str, Any]:
    """Return the completion in an answer.

    Raises:
        openai.APIStatusError: The answer tells an error, though its status is 200.
        openai.APIError: The answer is no chat completion.
    """
    answer = parsed(answer)
    if isinstance(answer, list) and len(answer) == 1:  # Gemini sends its errors in a list
        answer = answer[0]
    if not isinstance(answer, dict):
        raise no_completion(str(answer))
    if (error := error_in(answer)) is not None:
        raise error
    return answer


def error_in(answer: dict[str, Any], is_paid: bool = False) -> openai.APIStatusError | None:
    """Return the error that an answer of status 200 tells; None if it tells none.

    Args:
        answer: The body, or one event of a stream.
        is_paid: True if words of the answer came before, so that the request was not refused, whatever the code says.
    """
    choices = answer.get("choices")
    told = answer.get("error")
    if not told and isinstance(choices, list) and choices and isinstance(choices[0], dict):
        told = choices[0].get("error")  # OpenRouter
        if told and _has_text(choices[0]):
            return None  # its finish reason says that it was cut off
    if not told and not choices and (answer.get("object") == "error" or any(answer.get(n) for n in _ERROR_FIELDS)):
        told = answer
    if not told:
        return None
    fields = told if isinstance(told, dict) else {"message": str(told)}
    status = 500 if is_paid else _status_in(fields) or _status_in(answer) or 500
    message = next((str(fields[name]) for name in _ERROR_FIELDS if fields.get(name)), "")
    text = redact(message or "the endpoint reports an error in its answer")
    request = httpx2.Request("POST", "/chat/completions")
    return openai.APIStatusError(text, response=httpx2.Response(status, request=request), body=fields)


def _status_in(fields: dict[str, Any]) -> int | None:
    for name in ("code", "status", "status_code", "http_code", "statusCode"):
        value = fields.get(name)
        if isinstance(value, str) and value.isdigit():
            value = int(value)
        if isinstance(value, int) and value in _STATUSES:
            return value
    return _WORDS.get(str(fields.get("code") or fields.get("type") or fields.get("status") or "").lower())


_WORDS = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "resource_exhausted": 429,
    "too_many_requests": 429,
    "insufficient_quota": 402,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "unauthenticated": 401,
    "invalid_request_error": 400,
    "invalid_argument": 400,
    "context_length_exceeded": 400,
    "model_not_found": 404,
    "overloaded_error": 503,
    "unavailable": 503,
}


def _has_text(choice: dict[str, Any]) -> bool:
    message = choice.get("message") or choice.get("delta") or {}
    return isinstance(message, dict) and bool(message.get("content") or message.get("tool_calls"))


def no_completion(answer: str) -> openai.APIError:
    """Return the error for an answer that is no chat completion."""
    message = f"the endpoint's answer is no chat completion: {' '.join(answer[:2000].split())[:200]}"
    return openai.APIError(redact(message), httpx2.Request("POST", "/chat/completions"), body=None)
