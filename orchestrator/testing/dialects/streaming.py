"""The events of a stream, made of a whole completion."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from orchestrator.testing.dialects.dialect import Completion, Streaming

_TOKENS = 3  # characters in a piece of arguments
_DELTAS_APART = ("role", "content", "tool_calls")


def events(
    completion: Completion, parts: Sequence[str], streaming: Streaming, wants_usage: bool
) -> Iterator[tuple[Any, int | None]]:
    """Yield the events, each with the number of parts of the text so far; None for events beside the text.

    Args:
        completion: The completion.
        parts: The parts of the text.
        streaming: How the server streams.
        wants_usage: The request asks for the usage.
    """
    choice, usage = completion["choices"][0], completion.get("usage")
    message: dict[str, Any] = choice["message"]
    in_every = {"usage": usage} if usage and streaming.usage_in == "every" else {}
    head = {
        **{name: value for name, value in completion.items() if name not in ("choices", "usage")},
        "object": "chat.completion.chunk",
        **in_every,
        **streaming.every,
    }
    beside = {name: value for name, value in choice.items() if name not in ("message", "finish_reason")}

    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        return {**head, "choices": [{**beside, "delta": delta, "finish_reason": finish_reason}]}

    for event in streaming.before:
        yield event if isinstance(event, str) else {**head, **event}, None
    yield chunk({"role": message.get("role", "assistant")}), 0
    for name, value in message.items():
        if name not in _DELTAS_APART:
            yield chunk({name: value}), None
    for number, part in enumerate(parts, start=1):
        yield chunk({"content": part}), number
    if isinstance(message.get("content"), list):
        yield chunk({"content": message["content"]}), None
    for number, call in enumerate(message.get("tool_calls") or ()):
        for piece in _pieces(call, number, streaming):
            yield chunk({"tool_calls": [piece]}), None
    for other in completion["choices"][1:]:
        yield {**head, "choices": [{**other, "message": None, "delta": other["message"]}]}, None
    last = chunk({}, choice["finish_reason"])
    yield ({**last, "usage": usage} if usage and streaming.usage_in == "finish" else last), None
    if usage and wants_usage and streaming.usage_in == "last":
        yield {**head, "choices": [], "usage": usage}, None


def _pieces(call: dict[str, Any], number: int, streaming: Streaming) -> Iterator[dict[str, Any]]:
    numbers = {"from 0": number, "from 1": number + 1, "all 0": 0}
    index = {"index": numbers[streaming.numbers]} if streaming.numbers in numbers else {}
    arguments = call.get("function", {}).get("arguments")
    if streaming.arguments == "whole" or not isinstance(arguments, str):
        yield {**index, **call}
        return
    name = call["function"]["name"]
    half = len(name) // 2 if streaming.names == "parts" else len(name)
    first = "{}" if streaming.arguments == "placeholder" else ""
    yield {**index, **call, "function": {**call["function"], "name": name[:half], "arguments": first}}
    if name[half:]:
        yield {**index, "function": {"name": name[half:]}}
    repeated: dict[str, Any] = {
        field: call[field] for field in ("id", "type") if field in streaming.repeats and field in call
    }
    named = {"name": name} if "name" in streaming.repeats else {}
    for start in range(0, len(arguments), _TOKENS):
        begin = 0 if streaming.arguments == "growing" else start
        piece = arguments[begin : start + _TOKENS]
        yield {**index, **repeated, "function": {**named, "arguments": piece}}


def encoded(event: Any, streaming: Streaming) -> bytes:
    """Return an event as bytes. A text that begins with a colon or a field's name stands as it is."""
    end = streaming.line_end if streaming.lines != "events" else streaming.line_end * 2
    if isinstance(event, str) and event.startswith((":", "event:", "id:", "retry:")):
        return f"{event}{end}".encode()
    data = event if isinstance(event, str) else json.dumps(event)
    return f"{'' if streaming.lines == 'bare' else 'data: '}{data}{end}".encode()
