"""Tool calls in the fields of a chat completion, with whatever an endpoint has put there."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, InvalidToolCall, ToolCall
from langchain_core.messages.tool import invalid_tool_call
from langchain_core.outputs import ChatResult

from orchestrator.models.call_reading.arguments import arguments_of, strict_arguments
from orchestrator.models.call_reading.values import UnreadableError

SENT_CALLS = "sent_calls"
"""Key in `additional_kwargs`: the calls of a streamed answer as they were sent. LangChain completes what breaks off."""

_ARGUMENTS = ("arguments", "input", "parameters", "args")

FAILED_CALL = "failed_call"
"""Key in `additional_kwargs`: the answer is a call that the endpoint itself could not read."""


@dataclass(frozen=True)
class SentCall:
    """A call as it was sent.

    Args:
        name: The name.
        call_id: The id; empty for none.
        arguments: JSON, or whatever came instead.
    """

    name: str
    call_id: str
    arguments: object

    @classmethod
    def of(cls, call: object) -> "SentCall":
        """Return a call of a chat completion, whatever its shape."""
        fields = call if isinstance(call, Mapping) else {}
        name, arguments = function_of(fields)
        return cls(name, str(fields.get("id") or ""), arguments)


def as_sent(calls: Sequence[SentCall]) -> dict[str, Any]:
    """Return the entry for `additional_kwargs` with the calls of a stream."""
    return {SENT_CALLS: [asdict(call) for call in calls]}


def function_of(call: Mapping[str, Any]) -> tuple[str, Any]:
    """Return the name and the arguments of a call, or of a piece of one, wherever they stand."""
    inner = call.get("function")
    function = inner if isinstance(inner, Mapping) else call
    name, arguments = function.get("name"), next((function[key] for key in _ARGUMENTS if key in function), None)
    return name if isinstance(name, str) else "", arguments


def calls_in(message: Mapping[str, Any], choice: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the calls of a message, or of a piece of one, wherever they stand.

    Beside `tool_calls` of the message, endpoints send one call instead of a list, the JSON of the list, the older
    `function_call`, blocks of the content, and `tool_calls` of the choice.

    Args:
        message: The message, or a delta.
        choice: The choice that it stands in.
    """
    sent = message.get("tool_calls") or choice.get("tool_calls")
    if isinstance(sent, str):
        try:
            sent = json.loads(sent)
        except (ValueError, RecursionError):
            sent = None
    calls = sent if isinstance(sent, list) else [sent]
    if not any(calls):
        calls = [message.get("function_call"), *_blocks(message.get("content"))]
    return [call for call in calls if isinstance(call, dict) and call]


def _blocks(content: object) -> list[dict[str, Any]]:
    blocks = content if isinstance(content, list) else ()
    return [block for block in blocks if isinstance(block, dict) and block.get("type") in ("tool_use", "tool_call")]


def sent_calls(message: BaseMessage) -> list[SentCall]:
    """Return the calls in the fields of a message of any model."""
    if not isinstance(message, AIMessage):
        return []
    if kept := message.additional_kwargs.get(SENT_CALLS):
        return [SentCall(**call) for call in kept]
    calls: Sequence[ToolCall | InvalidToolCall] = [*message.tool_calls, *message.invalid_tool_calls]
    return [SentCall(call["name"] or "", call["id"] or "", call["args"]) for call in calls]


def is_sound(calls: Sequence[object]) -> bool:
    """True if calls of a chat completion have the form that LangChain reads without an error."""
    return all(
        isinstance(call, Mapping)
        and isinstance(function := call.get("function"), Mapping)
        and isinstance(function.get("name"), str)
        and isinstance(call.get("id"), str)
        and strict_arguments(function.get("arguments")) is not None
        for call in calls
    )


def read_fields(calls: Sequence[object]) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    """Return the calls of a chat completion as LangChain's: those that can be read, and the others."""
    read: list[ToolCall] = []
    unread: list[InvalidToolCall] = []
    for call in map(SentCall.of, calls):
        call_id = call.call_id or None
        try:
            read.append(ToolCall(name=call.name, id=call_id, args=arguments_of(call.arguments), type="tool_call"))
        except UnreadableError as error:
            text = call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments)
            unread.append(invalid_tool_call(name=call.name, id=call_id, args=text, error=str(error)))
    return read, unread


def converted(completion: Mapping[str, Any], convert: Callable[[dict[str, Any]], ChatResult]) -> ChatResult:
    """Return a chat completion with one choice as LangChain's, whatever its calls are.

    Args:
        completion: The completion.
        convert: Turns completions into results. It fails on a few broken calls, and completes others.
    """
    [choice] = completion["choices"]
    calls = choice["message"].get("tool_calls")
    if not calls or is_sound(calls):
        return convert(dict(completion))
    message = {**choice["message"], "tool_calls": None}
    result = convert({**completion, "choices": [{**choice, "message": message}]})
    [generation] = result.generations
    read, unread = read_fields(calls)
    changes = {"tool_calls": read, "invalid_tool_calls": unread}
    generation.message = generation.message.model_copy(update=changes)
    return result


def failed_call(error: BaseException) -> AIMessage | None:
    """Return the answer of a model whose endpoint could not read its call, as Groq reports it; None for other errors.

    The request was sound and the model has answered, so another form of the request would not help.

    Args:
        error: The error of a request.
    """
    body = getattr(error, "body", None)
    fields = body.get("error", body) if isinstance(body, Mapping) else None
    if not isinstance(fields, Mapping):
        return None
    text = fields.get("failed_generation")
    if fields.get("code") != "tool_use_failed" and not isinstance(text, str):
        return None
    why = str(fields.get("message") or "the call could not be read")
    return AIMessage(text if isinstance(text, str) else "", additional_kwargs={FAILED_CALL: why})
