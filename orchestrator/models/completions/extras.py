"""Extras: fields of an assistant's message that the interface does not know, kept and sent back.

Some endpoints refuse the next request without them: DeepSeek its `reasoning_content`, Gemini the `thought_signature` in
the `extra_content` of its tool calls, OpenRouter its `reasoning_details`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatResult

_KEPT = "endpoint_fields"  # stored in the messages of threads: keep the name
_FIELDS = frozenset({"role", "content", "tool_calls", "function_call", "refusal", "audio", "annotations", "name", "id"})
_CALL_FIELDS = frozenset({"index", "id", "type", "function"})
_OF_FUNCTIONS = frozenset({"name", "arguments", "input", "parameters", "args"})
_REASONING = ("reasoning_content", "reasoning", "thinking")


class Extras:
    """The unknown fields of one message, whole or added up from the pieces of a stream."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.calls: dict[str, dict[str, Any]] = {}

    def add(self, message: Mapping[str, Any]) -> None:
        """Add the fields of a message, or of a piece of it."""
        _merge(self.fields, message, _FIELDS)

    def add_call(self, call_id: str, call: Mapping[str, Any]) -> None:
        """Add the fields of a tool call, or of a piece of it."""
        known = _CALL_FIELDS if "function" in call else _CALL_FIELDS | _OF_FUNCTIONS
        _merge(self.calls.setdefault(call_id, {}), call, known)

    @property
    def reasoning(self) -> str:
        """The thoughts that stand in a field of their own; empty for none."""
        return next((text for name in _REASONING if isinstance(text := self.fields.get(name), str) and text), "")

    def as_kept(self, endpoint: str) -> dict[str, Any]:
        """Return the entry for `additional_kwargs`; empty if there is nothing to keep.

        Args:
            endpoint: The endpoint that has sent the fields, and is to get them back.
        """
        calls = {call_id: fields for call_id, fields in self.calls.items() if fields}
        if not self.fields and not calls:
            return {}
        return {_KEPT: {"endpoint": endpoint, "message": self.fields, "calls": calls}}


def _merge(kept: dict[str, Any], piece: Mapping[str, Any], known: frozenset[str]) -> None:
    for name, value in piece.items():
        if name in known or value in (None, "", [], {}):
            continue
        before = kept.get(name)
        if isinstance(before, str) and isinstance(value, str):
            kept[name] = before + value
        elif isinstance(before, list) and isinstance(value, list):
            kept[name] = [*before, *value]
        elif isinstance(before, dict) and isinstance(value, dict):
            merged = dict(before)
            _merge(merged, value, frozenset())
            kept[name] = merged
        else:
            kept[name] = value


def extras_of(message: Mapping[str, Any]) -> Extras:
    """Return the extras of a whole message."""
    extras = Extras()
    extras.add(message)
    for call in message.get("tool_calls") or ():
        if isinstance(call, dict):
            extras.add_call(str(call.get("id")), call)
    return extras


def keep(result: ChatResult, choices: Iterable[Mapping[str, Any]], endpoint: str) -> None:
    """Keep the extras of an answer in its messages.

    Args:
        result: The answer, as LangChain reads it.
        choices: The answer's choices, as they were sent.
        endpoint: The endpoint that has sent them.
    """
    for generation, choice in zip(result.generations, choices, strict=True):
        generation.message.additional_kwargs.update(extras_of(choice["message"]).as_kept(endpoint))


def send_back(wire: list[dict[str, Any]], messages: Sequence[BaseMessage], endpoint: str) -> list[dict[str, Any]]:
    """Return the messages of a request with the extras that came from the endpoint they go to.

    Args:
        wire: The messages as they are to be sent.
        messages: The same messages of LangChain.
        endpoint: The endpoint.
    """
    if not any(_KEPT in message.additional_kwargs for message in messages):
        return wire
    return [_with_extras(sent, message, endpoint) for sent, message in zip(wire, messages, strict=True)]


def _with_extras(sent: dict[str, Any], message: BaseMessage, endpoint: str) -> dict[str, Any]:
    kept = message.additional_kwargs.get(_KEPT)
    if not isinstance(kept, dict) or kept.get("endpoint") != endpoint or not isinstance(message, AIMessage):
        return sent
    calls = kept.get("calls") or {}
    back = {**(kept.get("message") or {}), **sent}
    if sent.get("tool_calls"):
        back["tool_calls"] = [{**calls.get(str(call.get("id")), {}), **call} for call in sent["tool_calls"]]
    return back


def kept_text(message: BaseMessage) -> str:
    """Return what is sent back beside a message's own text, so that its tokens can be counted."""
    kept = message.additional_kwargs.get(_KEPT)
    return str(kept.get("message") or "") + str(kept.get("calls") or "") if isinstance(kept, dict) else ""
