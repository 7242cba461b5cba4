"""The tool calls of a model's answer, from wherever the model has put them, as calls that can be made or answered."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ToolCall
from langchain_core.messages.tool import invalid_tool_call
from langchain_core.utils.function_calling import convert_to_openai_tool

from orchestrator.messages import mark_call_problems
from orchestrator.models.call_reading.arguments import arguments_of
from orchestrator.models.call_reading.names import named_tool, safe_name
from orchestrator.models.call_reading.native import FAILED_CALL, SENT_CALLS, SentCall, sent_calls
from orchestrator.models.call_reading.reading import Reading, read_calls
from orchestrator.models.call_reading.shapes import WrittenCall
from orchestrator.models.call_reading.values import UnreadableError, whole_value
from orchestrator.models.json_answers import without_thoughts
from orchestrator.text import shorten

_ARGUMENTS_CHARS = 200
_ANOTHER_WAY = "If it is no call but part of your result, put it into a code block, among words."
_CUT = "the answer was cut off at its length limit, so the arguments may not be whole"
# In `additional_kwargs`: the calls in the forms of clients, which would contradict those of the message.
_CLIENTS_CALLS = ("tool_calls", "function_call", SENT_CALLS, FAILED_CALL)


@dataclass(frozen=True)
class Toolbox:
    """The tools that a model may call.

    Args:
        tools: All tools of the agent, by name.
        offered: Names of those in the request. A call in a text is made only for these.
    """

    tools: Mapping[str, Any]
    offered: Collection[str]

    @cached_property
    def _schemas(self) -> dict[str, dict[str, Any]]:
        return {}

    def schema(self, name: str) -> dict[str, Any]:
        """Return the JSON schema of a tool's arguments."""
        if name not in self._schemas:
            self._schemas[name] = convert_to_openai_tool(self.tools[name])["function"].get("parameters") or {}
        return self._schemas[name]

    def expected(self, name: str) -> str:
        """Return one line that says which arguments a tool takes."""
        schema = self.schema(name)
        required = schema.get("required") or ()
        listed = [
            f"{key} ({_types(part)}{'' if key in required else ', optional'})"
            for key, part in (schema.get("properties") or {}).items()
        ]
        return f"It takes one JSON object with {', '.join(listed)}" if listed else "It takes no arguments: {}"


def with_calls(message: BaseMessage, box: Toolbox, seed: object, *, is_cut: bool = False) -> BaseMessage:
    """Return an answer whose calls all stand in `tool_calls`, with a different id each.

    A call that cannot be made is among them, and marked with the text that answers it.

    Args:
        message: The answer.
        box: The tools.
        seed: Names the answer within its conversation; calls in texts get ids of it.
        is_cut: The answer ended at its length limit.
    """
    if not isinstance(message, AIMessage):
        return message
    sent = sent_calls(message)
    if sent:
        if not is_cut and _is_usual(message, box):
            return message
        calls = [_native(call, box) for call in sent]
        if is_cut and not calls[-1].problem and not message.invalid_tool_calls and SENT_CALLS not in _marks(message):
            # LangChain completes the arguments of a stream that breaks off, so half of them look whole.
            calls[-1] = _Call.wrong(calls[-1].name, sent[-1].call_id, _told(calls[-1].name, _CUT, sent[-1], box))
        return _answer(message, calls, str(message.text), is_cut=is_cut)
    text = without_thoughts(str(message.text))
    reading = read_calls(text, box.tools.keys())
    if reading is None and (why := _marks(message).get(FAILED_CALL)):
        reading = Reading((WrittenCall("", problem=str(why)),))
    if reading is None:
        return message
    calls = [_written(call, box, _id([seed, message.id], at, call)) for at, call in enumerate(reading.calls)]
    if is_cut and not calls[-1].problem:
        calls[-1] = _Call.wrong(calls[-1].name, calls[-1].call_id, f"Error invoking tool '{calls[-1].name}': {_CUT}")
    return _answer(message, calls, reading.words, is_cut=is_cut)


def is_call(text: str) -> bool:
    """True if a text of an agent without tools is, or holds, what looks like a tool call."""
    return read_calls(without_thoughts(text), ()) is not None


@dataclass(frozen=True)
class _Call:
    """A call that can be made, or answered with its problem."""

    name: str
    call_id: str
    args: dict[str, Any]
    problem: str = ""

    @classmethod
    def wrong(cls, name: str, call_id: str, problem: str) -> "_Call":
        return cls(name, call_id, {}, problem)


def _marks(message: BaseMessage) -> dict[str, Any]:
    return message.additional_kwargs


def _is_usual(message: AIMessage, box: Toolbox) -> bool:
    """True if nothing has to be changed: the common case, in which no object is made."""
    if message.invalid_tool_calls or SENT_CALLS in message.additional_kwargs:
        return False
    ids = {call["id"] or "" for call in message.tool_calls} | {""}
    return len(ids) > len(message.tool_calls) and all(
        call["name"] in box.tools and _holds_json(call["args"]) for call in message.tool_calls
    )


def _holds_json(args: dict[str, Any]) -> bool:
    try:
        arguments_of(args)
    except UnreadableError:
        return False
    return True


def _native(call: SentCall, box: Toolbox) -> _Call:
    name = named_tool(call.name, box.tools.keys())
    if name is None:
        safe = safe_name(call.name)
        # LangGraph's tool node answers a call of an unknown tool. A name without letters is told here.
        problem = "" if safe == call.name else _unknown(call.name, box)
        return _Call(safe, call.call_id, _readable(call.arguments), problem)
    try:
        return _Call(name, call.call_id, arguments_of(call.arguments))
    except UnreadableError as error:
        return _Call.wrong(name, call.call_id, _told(name, str(error), call, box))


def _readable(arguments: object) -> dict[str, Any]:
    try:
        return arguments_of(arguments)
    except UnreadableError:
        return {}


def _told(name: str, why: str, call: SentCall, box: Toolbox) -> str:
    # The beginning is LangGraph's for arguments that do not fit, by which repetitions are found.
    sent = call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments, default=str)
    return (
        f"Error invoking tool '{name}': its arguments cannot be read: {why}. They were: "
        f"{shorten(sent, _ARGUMENTS_CHARS)}\n{box.expected(name) if name in box.tools else ''}. Call it again in full."
    )


def _unknown(name: str, box: Toolbox) -> str:
    # In the words of LangGraph's tool node, by which repetitions are found.
    known = ", ".join(box.offered)
    return f"Error: {shorten(name, 80) or 'this call without a name'} is not a valid tool, try one of [{known}]."


def _written(call: WrittenCall, box: Toolbox, call_id: str) -> _Call:
    name = named_tool(call.name, box.tools.keys())
    if name is None or (name not in box.offered and box.offered):
        wanted = safe_name(call.name)
        if call.name:
            return _Call.wrong(wanted, call_id, f"{_unknown(call.name, box)} {_ANOTHER_WAY}")
        known = ", ".join(box.offered)
        told = f"Error: your answer looks like a tool call, but {call.problem}. The tools are: {known}. {_ANOTHER_WAY}"
        return _Call.wrong(wanted, call_id, told)
    try:
        if call.problem:
            raise UnreadableError(call.problem)
        return _Call(name, call_id, _arguments(call, name, box))
    except UnreadableError as error:
        told = f"Error invoking tool '{name}': the call in your answer cannot be read: {error}. {box.expected(name)}."
        return _Call.wrong(name, call_id, f"{told} Call it again in full. {_ANOTHER_WAY}")


def _arguments(call: WrittenCall, name: str, box: Toolbox) -> dict[str, Any]:
    """Return the arguments of a call in a text.

    Raises:
        UnreadableError: It is not certain what they are.
    """
    arguments = arguments_of(call.arguments)
    if call.values:
        names = list(box.schema(name).get("properties") or {})
        if len(call.values) > 1 or arguments:
            raise UnreadableError("its arguments have no names")
        if isinstance(call.values[0], Mapping):
            return arguments_of(call.values[0])
        if len(names) != 1:
            raise UnreadableError("its arguments have no names")
        return {names[0]: call.values[0]}
    if not call.is_text:
        return arguments
    properties = box.schema(name).get("properties") or {}
    return {key: _typed(str(value), properties.get(key)) for key, value in arguments.items()}


def _typed(text: str, schema: object) -> Any:
    """Return a text as the type that a schema asks for, where the text is of this type."""
    if "string" in (kinds := _types(schema).split(" or ")) or kinds == ["anything"]:
        return text
    try:
        return whole_value(text)
    except UnreadableError:
        return text  # the tool says what is wrong with it


def _types(schema: object) -> str:
    """Return the types that a schema takes, in words."""
    if not isinstance(schema, Mapping):
        return "anything"
    kinds = schema.get("type") or [_types(part) for part in schema.get("anyOf") or ()]
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    return " or ".join(dict.fromkeys(kind for kind in kinds if kind != "null")) or "anything"


def _id(seed: object, at: int, call: WrittenCall) -> str:
    # With the place in the conversation and the answer's own id, so that equal calls of two answers differ.
    digest = hashlib.sha256(json.dumps([seed, at, call.name, call.arguments], default=str).encode())
    return f"call_{digest.hexdigest()[:16]}"


def _answer(message: AIMessage, calls: Sequence[_Call], words: str, *, is_cut: bool) -> AIMessage:
    """Return the answer with these calls. A single one that was cut off is left unread, and is asked for again."""
    calls = _with_different_ids(calls)
    kwargs = {key: value for key, value in message.additional_kwargs.items() if key not in _CLIENTS_CALLS}
    mark_call_problems(kwargs, {call.call_id: call.problem for call in calls if call.problem})
    made: list[ToolCall] = [ToolCall(name=c.name, args=c.args, id=c.call_id, type="tool_call") for c in calls]
    content: Any = words
    if not isinstance(message.content, str):  # blocks: thoughts, which some endpoints want back
        kept = [
            b for b in message.content if isinstance(b, dict) and b.get("type") not in ("text", "invalid_tool_call")
        ]
        content = [*kept, {"type": "text", "text": words}] if words else kept
    if is_cut and len(calls) == 1 and calls[0].problem:
        unread = invalid_tool_call(name=calls[0].name, args="", id=calls[0].call_id, error=calls[0].problem)
        return message.model_copy(update={"content": content, "tool_calls": [], "invalid_tool_calls": [unread]})
    changes = {"content": content, "tool_calls": made, "invalid_tool_calls": [], "additional_kwargs": kwargs}
    return message.model_copy(update=changes)


def _with_different_ids(calls: Sequence[_Call]) -> list[_Call]:
    """Return the calls with a different id each.

    Some endpoints give all calls of a message one id, or none. Reviews and the journal tell calls apart by their ids.
    """
    if len({call.call_id for call in calls} | {""}) > len(calls):
        return list(calls)
    numbered = enumerate(calls, 1)
    return [_Call(c.name, f"{c.call_id or 'call'}-{at}", c.args, c.problem) for at, c in numbered]
