"""Answers of endpoints, whatever their content type: completions, streams as one text, and errors with status 200."""

import json
import re
from typing import Any

import httpx2
import openai

from orchestrator.models.endpoints.reasons import WEB_PAGE, is_page, reason_in
from orchestrator.redaction import redact

_ERROR_FIELDS = ("message", "detail", "msg", "error_msg", "error_message", "status_msg")
_WRAPPERS = ("result", "data", "response", "output", "body", "completion")
_WELL = ("0", "200", "success", "ok")  # codes of answers that are no errors
_SPACE = "\ufeff \r\n\t"
_DECODER = json.JSONDecoder()
_STATUSES = range(400, 600)


def json_of(data: bytes | str) -> Any:
    """Return the JSON in a text, or in bytes that may not all be characters.

    Raises:
        ValueError: It is no JSON.
    """
    try:
        return json.loads(data)
    except UnicodeDecodeError:
        return json.loads(data.decode("utf-8", "replace") if isinstance(data, bytes) else data)


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
    text = answer.lstrip(_SPACE)
    try:
        value, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return answer
    # Behind a whole completion something can stand, such as a second copy. Chunks of a stream belong together.
    return value if not text[end:].strip() or not is_stream(answer) else answer


def is_stream(answer: object) -> bool:
    """True if an answer is the text of server-sent events, or of the same chunks on lines of their own."""
    if not isinstance(answer, str):
        return False
    text = answer.lstrip(_SPACE)
    return text.startswith(("data:", "event:", ":", "id:", "retry:")) or (text.startswith("{") and '"delta"' in text)


def unwrapped(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the completion inside a gateway's wrapper; the answer itself without one."""
    if answer.get("choices"):
        return answer
    for name in _WRAPPERS:
        inner = answer.get(name)
        inner = parsed(inner) if isinstance(inner, str) and inner.startswith("{") else inner
        inner = inner[0] if isinstance(inner, list) and len(inner) == 1 else inner
        if isinstance(inner, dict) and inner.get("choices"):
            return inner
    return answer


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
        raise no_completion(answer)
    answer = unwrapped(answer)
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
    if not told and not choices:
        told = _told_beside(answer)
    if not told:
        return None
    fields = told if isinstance(told, dict) else {"message": str(told)}
    message = next((str(fields[name]) for name in _ERROR_FIELDS if fields.get(name)), "") or reason_in(fields)
    status = 500 if is_paid else _status_in(fields) or _status_in(answer) or _status_in_words(message) or 500
    text = redact(message or "the endpoint reports an error in its answer")
    request = httpx2.Request("POST", "/chat/completions")
    return openai.APIStatusError(text, response=httpx2.Response(status, request=request), body=fields)


def _told_beside(answer: dict[str, Any]) -> object:
    """Return the error that an answer without choices tells in other fields than `error`."""
    if answer.get("object") == "error":
        return answer
    if errors := answer.get("errors"):  # Cloudflare
        return errors[0] if isinstance(errors, list) and isinstance(errors[0], dict) else {"message": str(errors)}
    state = answer.get("base_resp")  # MiniMax
    if isinstance(state, dict) and state.get("status_code") not in (None, 0):
        return state
    if answer.get("success") is True or str(answer.get("code", "")).lower() in _WELL:
        return None
    return answer if any(answer.get(name) for name in _ERROR_FIELDS) else None


def _status_in(fields: dict[str, Any]) -> int | None:
    for name in ("code", "status", "status_code", "http_code", "statusCode"):
        value = fields.get(name)
        if isinstance(value, str) and value.isdigit():
            value = int(value)
        if isinstance(value, int) and value in _STATUSES:
            return value
    return _WORDS.get(str(fields.get("code") or fields.get("type") or fields.get("status") or "").lower())


def _status_in_words(message: str) -> int | None:
    return next((status for status, pattern in _PHRASES.items() if re.search(pattern, message, re.I)), None)


_PHRASES = {
    429: r"rate.?limit|too many requests|requests per minute",
    402: r"insufficient (balance|credit|quota)|balance is",
    401: r"api.?key|unauthori[sz]ed|authenticat|token (is )?(invalid|expired)",
    400: r"unsupported|not support|invalid param|invalid request",
}
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


def no_completion(answer: object) -> openai.APIError:
    """Return the error for an answer that is no chat completion."""
    text = str(answer)
    told = reason_in(text) if is_page(text) else " ".join(text[:2000].split())[:200]
    message = redact(f"the endpoint's answer is no chat completion: {told or 'it is empty'}")
    body = {"code": WEB_PAGE} if is_page(text) else None
    return openai.APIError(message, httpx2.Request("POST", "/chat/completions"), body=body)
