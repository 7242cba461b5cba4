"""Peculiarities of answers: functions of a whole completion. A stream is made of the completion that they return."""

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.testing.dialects.dialect import Body, Change, Completion, Quirk

THOUGHT = "Let me think of grey herons first."
"""The thoughts of the model. They must never stand in a result."""


def each(*changes: Change) -> tuple[Quirk, ...]:
    """Return quirks of each answer."""
    return tuple(Quirk(change) for change in changes)


def message_of(completion: Completion) -> dict[str, Any]:
    """Return the message of a completion."""
    message: dict[str, Any] = completion["choices"][0]["message"]
    return message


def _with_message(completion: Completion, message: dict[str, Any]) -> Completion:
    return {**completion, "choices": [{**completion["choices"][0], "message": message}]}


def thoughts_in(field: str, thought: str = THOUGHT) -> Change:
    """Return a change that adds thoughts in a field of the message."""
    return lambda completion, _: _with_message(completion, {**message_of(completion), field: thought})


def thoughts_in_text(opening: str = "<think>\n", closing: str = "\n</think>\n\n") -> Change:
    """Return a change that puts thoughts before the text, as models do whose server knows no thoughts."""

    def change(completion: Completion, _: Body) -> Completion:
        message = message_of(completion)
        return _with_message(
            completion, {**message, "content": f"{opening}{THOUGHT}{closing}{message['content'] or ''}"}
        )

    return change


def thoughts_for_each_answer(field: str) -> Change:
    """Return a change that adds thoughts that differ from answer to answer."""

    def change(completion: Completion, body: Body) -> Completion:
        thought = f"{THOUGHT} Step {len(body['messages'])}."
        return _with_message(completion, {**message_of(completion), field: thought})

    return change


def text_in(field: str) -> Change:
    """Return a change that moves the text into a field for thoughts. The content is null."""

    def change(completion: Completion, _: Body) -> Completion:
        message = message_of(completion)
        return _with_message(completion, {**message, "content": None, field: message["content"]})

    return change


def content_in_parts(completion: Completion, _: Body) -> Completion:
    """Return a completion whose text is a list of parts, with the thoughts in a part of their own."""
    message = message_of(completion)
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}
    parts = [thinking, *([{"type": "text", "text": message["content"]}] if message["content"] else [])]
    return _with_message(completion, {**message, "content": parts})


def content_of_type(kind: str, *, is_list: bool = True) -> Change:
    """Return a change that sends the text as a part of a type.

    Args:
        kind: The type.
        is_list: Send the part in a list, and not alone.
    """

    def change(completion: Completion, _: Body) -> Completion:
        message = message_of(completion)
        part = {"type": kind, "text": message["content"] or ""}
        return _with_message(completion, {**message, "content": [part] if is_list else part})

    return change


def wrapped(*path: str, **beside: Any) -> Change:
    """Return a change that puts the completion inside a gateway's answer.

    Args:
        path: The names that lead to the completion.
        beside: Fields beside the first of them.
    """

    def change(completion: Completion, _: Body) -> Completion:
        inner: Completion = completion
        for name in reversed(path):
            inner = {name: inner}
        return {**inner, **beside}

    return change


def text_of_choice(completion: Completion, _: Body) -> Completion:
    """Return a completion with the text in the choice, as interfaces before chat have it. One with calls stays."""
    choice, message = completion["choices"][0], message_of(completion)
    if message.get("tool_calls"):
        return completion
    rest = {name: value for name, value in choice.items() if name != "message"}
    return {**completion, "choices": [{**rest, "text": message["content"]}]}


def single_choice(completion: Completion, _: Body) -> Completion:
    """Return a completion with its choice instead of a list of choices."""
    return {**completion, "choices": completion["choices"][0]}


def message_fields(**fields: Any) -> Change:
    """Return a change that adds fields to the message. An existing field keeps its value."""
    return lambda completion, _: _with_message(completion, {**fields, **message_of(completion)})


def empty_text(completion: Completion, _: Body) -> Completion:
    """Return a completion with an empty text instead of null."""
    message = message_of(completion)
    return _with_message(completion, {**message, "content": message["content"] or ""})


def fields(**added: Any) -> Change:
    """Return a change that adds fields to the completion."""
    return lambda completion, _: {**completion, **added}


def choice_fields(**added: Any) -> Change:
    """Return a change that adds fields to the choice."""
    return lambda completion, _: {**completion, "choices": [{**completion["choices"][0], **added}]}


def finish_reasons(reasons: Mapping[str, str | None]) -> Change:
    """Return a change that replaces finish reasons."""

    def change(completion: Completion, _: Body) -> Completion:
        choice = completion["choices"][0]
        reason = reasons.get(choice["finish_reason"], choice["finish_reason"])
        return {**completion, "choices": [{**choice, "finish_reason": reason}]}

    return change


def half_text(reason: str) -> Change:
    """Return a change that cuts a text in half. A completion with tool calls stays whole.

    Args:
        reason: The finish reason.
    """

    def change(completion: Completion, _: Body) -> Completion:
        message = message_of(completion)
        if message.get("tool_calls") or not message["content"]:
            return completion
        half = {**message, "content": message["content"][: len(message["content"]) // 2]}
        return {**completion, "choices": [{**completion["choices"][0], "message": half, "finish_reason": reason}]}

    return change


def usage_fields(**added: Any) -> Change:
    """Return a change that adds fields to the usage."""
    return lambda completion, _: (
        {**completion, "usage": {**completion["usage"], **added}} if "usage" in completion else completion
    )


def usage_as(of_name: Mapping[str, str], of_count: Callable[[int], Any]) -> Change:
    """Return a change that reports the usage under other names, and its counts in another form."""
    return lambda completion, _: {
        **completion,
        "usage": {of_name.get(name, name): of_count(count) for name, count in completion.get("usage", {}).items()},
    }


def without_usage(completion: Completion, _: Body) -> Completion:
    """Return a completion without usage."""
    return {name: value for name, value in completion.items() if name != "usage"}


def usage_under(*path: str) -> Change:
    """Return a change that moves the usage to another place, given as names."""

    def change(completion: Completion, body: Body) -> Completion:
        moved: Any = completion["usage"]
        for name in reversed(path):
            moved = {name: moved}
        return {**without_usage(completion, body), **moved}

    return change


def nulls_everywhere(completion: Completion, _: Body) -> Completion:
    """Return a completion with null in each field that can be absent."""
    message = {"refusal": None, "function_call": None, "audio": None, "annotations": None, "tool_calls": None}
    changed = _with_message(completion, {**message, "reasoning_content": None, **message_of(completion)})
    choice = {**changed["choices"][0], "logprobs": None, "stop_reason": None, "matched_stop": None}
    return {**changed, "choices": [choice], "service_tier": None, "system_fingerprint": None, "prompt_logprobs": None}


def unknown_fields_everywhere(completion: Completion, _: Body) -> Completion:
    """Return a completion with fields that no client knows, at each level."""
    extra = {"x_herons": {"grey": [1, 2]}}
    message = {**message_of(completion), **extra}
    if message.get("tool_calls"):
        message["tool_calls"] = [
            {**call, **extra, "function": {**call["function"], **extra}} for call in message["tool_calls"]
        ]
    changed = _with_message(completion, message)
    return {
        **changed,
        **extra,
        "choices": [{**changed["choices"][0], **extra}],
        "usage": {**completion.get("usage", {}), **extra},
    }


def bare(completion: Completion, _: Body) -> Completion:
    """Return a completion with the choices alone: no id, no model, no role, no index."""
    choice = completion["choices"][0]
    message = {name: value for name, value in message_of(completion).items() if name != "role"}
    return {"choices": [{"message": message, "finish_reason": choice["finish_reason"]}]}
