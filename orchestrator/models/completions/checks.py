"""Validate chat completions: reject malformed ones with a clear error, repair harmless deviations."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from orchestrator.models.call_reading.native import calls_in, function_of
from orchestrator.models.completions.answer import completion_of, no_completion
from orchestrator.models.completions.extras import extras_of

T = TypeVar("T")
_MOST_TOKENS = 10**12  # no true count is larger
_COUNTS = (
    ("prompt_tokens", "input_tokens", "promptTokens", "inputTokens"),
    ("completion_tokens", "output_tokens", "completionTokens", "outputTokens"),
    ("total_tokens", "totalTokens"),
)
_TEXTS = (None, "", "text", "output_text", "input_text")
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
    listed = choices if isinstance(choices, list) else [choices]
    choice, *others = listed or [None]
    message = _message(choice) if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or message is None or not _is_content(message.get("content")):
        raise no_completion(answer)
    calls = calls_in(message, choice)
    for other in others:  # some endpoints give the calls of an answer a choice of their own
        if not calls and isinstance(other, dict):
            calls = calls_in(_message(other) or {}, other)
    is_whole = str(choice.get("finish_reason") or "") != "length"
    return {
        **completion,
        "choices": [{**choice, "message": _usual(message, calls, is_whole)}],
        "usage": plausible_usage(completion.get("usage")),
    }


def _message(choice: dict[str, Any]) -> dict[str, Any] | None:
    """Return the message of a choice; None without one."""
    # A few endpoints answer a whole request with the pieces of a stream, or with the text of older interfaces.
    message = choice.get("message") or choice.get("delta")
    if message is None and isinstance(choice.get("text"), str):
        return {"content": choice["text"]}
    return message if isinstance(message, dict) else None


def _is_content(content: object) -> bool:
    parts = content if isinstance(content, list) else ()
    return content is None or (
        isinstance(content, str | list | dict) and all(isinstance(part, dict | str) for part in parts)
    )


def _usual(message: dict[str, Any], calls: list[dict[str, Any]], is_whole: bool) -> dict[str, Any]:
    """Return a message in the usual shape: a text, calls with their arguments as JSON, and the role `assistant`."""
    text = text_of(message.get("content"))
    if not text and not calls and is_whole:
        text = extras_of(message).reasoning  # vLLM's parsers of thoughts take a whole answer for thoughts
    told = {"role": "assistant", "content": text, "tool_calls": [_usual_call(call) for call in calls] or None}
    return {**{name: value for name, value in message.items() if name != "function_call"}, **told}


def _usual_call(call: dict[str, Any]) -> dict[str, Any]:
    name, arguments = function_of(call)
    if not isinstance(arguments, str):
        arguments = "{}" if arguments is None else json.dumps(arguments, ensure_ascii=False)
    function = call.get("function") if isinstance(call.get("function"), dict) else {}
    kept = call if "function" in call else {"id": call.get("id")}
    named = {"name": name} if name else {}
    return {**kept, "type": "function", "function": {**(function or {}), **named, "arguments": arguments or "{}"}}


def text_of(content: object) -> str:
    """Return the text of a message or of a piece of one, which some endpoints send as blocks."""
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else [content]
    return "".join(map(_text_of_block, blocks))


def _text_of_block(block: object) -> str:
    if isinstance(block, dict):
        return str(block.get("text") or "") if block.get("type") in _TEXTS else ""
    return block if isinstance(block, str) else ""


def plausible_usage(reported: object) -> dict[str, Any] | None:
    """Return the plausible part of a reported usage; None counts as no report."""
    if not isinstance(reported, dict):
        return None
    counts: list[int | None] = []
    for names in _COUNTS:
        value = next((value for name in names if (value := reported.get(name)) is not None), None)
        counts.append(count := None if value is None else _count(value))
        if value is not None and count is None:
            return None
    prompt, answer, total = counts
    if answer is None and prompt is not None and total is not None and total >= prompt:
        answer = total - prompt
    # No prompt is of no tokens, and half a report would make the call cheaper than it was.
    if not prompt or answer is None:
        return None
    kept = {name: part for name, part in reported.items() if name not in _DETAILS or _is_details(part)}
    usage = {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": total or prompt + answer}
    return {**kept, **usage}


def _count(value: object) -> int | None:
    """Return a number of tokens; None for what cannot be one."""
    if type(value) is not int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        elif isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value[:20])
        else:
            return None
    return value if 0 <= value <= _MOST_TOKENS else None


def _is_details(value: object) -> bool:
    return isinstance(value, dict) and all(
        count is None or (type(count) is int and 0 <= count <= _MOST_TOKENS) for count in value.values()
    )


def reading(read: Callable[[], T]) -> T:
    """Return the result of `read`, a function that takes an answer apart.

    Raises:
        openai.APIError: `read` fails on the shape of the answer, so the answer is no chat completion.
    """
    try:
        return read()
    except _MALFORMED as error:
        raise no_completion(f"{type(error).__name__}: {error}") from error
