"""Validate chat completions: reject malformed ones with a clear error, repair harmless deviations."""

from collections.abc import Callable
from typing import Any, TypeVar

import openai

T = TypeVar("T")
_MOST_TOKENS = 10**12  # no true count is larger
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_DETAILS = ("prompt_tokens_details", "completion_tokens_details")
# LangChain raises these on an answer of an unexpected shape; it does not check answers itself.
_MALFORMED = (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError)


def checked(answer: object) -> dict[str, Any]:
    """Return an answer whose choices are an assistant's messages, without implausible token counts.

    Raises:
        openai.APIError: The answer is no chat completion.
    """
    if not isinstance(answer, dict):
        raise no_completion(str(answer))
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices:
        raise no_completion(str(answer))
    for choice in choices:
        message = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(message, dict):
            raise no_completion(str(answer))
        message["role"] = "assistant"  # some endpoints leave the role out, or use another word
    return {**answer, "usage": plausible_usage(answer.get("usage"))}


def plausible_usage(reported: object) -> dict[str, Any] | None:
    """Return the plausible part of a reported usage; None counts as no report."""
    if not isinstance(reported, dict) or not all(_is_count(reported.get(name, 0)) for name in _COUNTS):
        return None
    return {name: part for name, part in reported.items() if name not in _DETAILS or _is_details(part)}


def _is_count(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS)


def _is_details(value: object) -> bool:
    return isinstance(value, dict) and all(_is_count(count) for count in value.values())


def reading(read: Callable[[], T]) -> T:
    """Return the result of `read`, a function that takes an answer apart.

    Raises:
        openai.APIError: `read` fails on the shape of the answer, so the answer is no chat completion.
    """
    try:
        return read()
    except _MALFORMED as error:
        raise no_completion(f"{type(error).__name__}: {error}") from error


def no_completion(answer: str) -> openai.APIError:
    """Return the error for an answer that is no chat completion."""
    import httpx2

    message = f"the endpoint's answer is no chat completion: {' '.join(answer[:2000].split())[:200]}"
    return openai.APIError(message, httpx2.Request("POST", "/chat/completions"), body=None)
