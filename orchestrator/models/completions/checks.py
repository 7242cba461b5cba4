"""Validate chat completions: reject malformed ones with a clear error, repair harmless deviations."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from orchestrator.models.completions.answer import completion_of, no_completion
from orchestrator.models.completions.extras import extras_of

T = TypeVar("T")
_MOST_TOKENS = 10**12  # no true count is larger
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_DETAILS = ("prompt_tokens_details", "completion_tokens_details")
# LangChain raises these on an answer of an unexpected shape; it does not check answers itself.
_MALFORMED = (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError)


def checked(answer: object) -> dict[str, Any]:
    """Return an answer with one choice, an assistant's message, and without implausible token counts.

    Raises:
        openai.APIStatusError: The answer tells an error.
        openai.APIError: The answer is no chat completion.
    """
    completion = completion_of(answer)
    choices = completion.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    # A few endpoints answer a whole request with the pieces of a stream.
    message = (choice.get("message") or choice.get("delta")) if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict) or not _is_content(message.get("content")):
        raise no_completion(str(answer))
    is_whole = str(choice.get("finish_reason") or "") != "length"
    return {
        **completion,
        "choices": [{**choice, "message": _usual(message, is_whole)}],
        "usage": plausible_usage(completion.get("usage")),
    }


def _is_content(content: object) -> bool:
    parts = content if isinstance(content, list) else ()
    return content is None or (isinstance(content, str | list) and all(isinstance(part, dict | str) for part in parts))


def _usual(message: dict[str, Any], is_whole: bool) -> dict[str, Any]:
    """Return a message in the usual shape: a text, calls with their arguments as JSON, and the role `assistant`."""
    calls = [_usual_call(call) for call in message.get("tool_calls") or () if isinstance(call, dict)]
    text = text_of(message.get("content"))
    if not text and not calls and is_whole:
        text = extras_of(message).reasoning  # vLLM's parsers of thoughts take a whole answer for thoughts
    return {**message, "role": "assistant", "content": text, "tool_calls": calls or None}


def _usual_call(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    if not isinstance(function, dict):
        function = call if "name" in call else {}
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        arguments = "{}" if arguments is None else json.dumps(arguments, ensure_ascii=False)
    return {**call, "type": "function", "function": {**function, "arguments": arguments or "{}"}}


def text_of(content: object) -> str:
    """Return the text of a message or of a piece of one, which some endpoints send as blocks."""
    if isinstance(content, list):
        blocks = ({"text": part} if isinstance(part, str) else part for part in content)
        return "".join(
            str(b.get("text") or "") for b in blocks if isinstance(b, dict) and b.get("type", "text") == "text"
        )
    return content if isinstance(content, str) else ""


def _part(part: object) -> str:
    if isinstance(part, dict):
        return str(part.get("text") or "") if part.get("type", "text") == "text" else ""
    return part if isinstance(part, str) else ""


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
