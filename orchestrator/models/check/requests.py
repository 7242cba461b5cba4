"""The small requests of a check, each of a kind that a team needs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import openai
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
)

from orchestrator.models.call_reading.answer import Toolbox, with_calls
from orchestrator.models.call_reading.native import failed_call
from orchestrator.models.check.report import Finding
from orchestrator.models.json_answers import json_objects

_MOST_TRIES = 3
_SYSTEM = SystemMessage("You answer in as few words as possible.")
_LOOK_UP = HumanMessage("How many people live in Onda? Call the tool to find out.")
_BOTH = HumanMessage("How many people live in Onda, and how many in Tarn? Call the tool for both towns at once.")
_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "population",
        "description": "Return the number of people in a town.",
        "parameters": {
            "type": "object",
            "properties": {"town": {"type": "string", "description": "Name of the town."}},
            "required": ["town"],
        },
    },
}
_PLAN: dict[str, Any] = {
    "title": "Plan",
    "type": "object",
    "properties": {
        "sub_tasks": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"id": {"type": "string"}, "description": {"type": "string"}},
                "required": ["id", "description"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["sub_tasks"],
    "additionalProperties": False,
}


@dataclass
class Answers:
    """Answers to the requests so far, for those that build on them.

    Args:
        usage: The answers whose tokens the request under way has cost.
        call: The answer with the first tool call; None without one.
    """

    usage: list[BaseMessage] = field(default_factory=list)
    call: AIMessage | None = None


Reading = tuple[Finding, str]
Asker = Callable[[BaseChatModel, Answers], Reading]


def _chat(model: BaseChatModel, answers: Answers) -> Reading:
    answer = model.invoke([_SYSTEM, HumanMessage("Say: ready")])
    answers.usage.append(answer)
    return ("native", "") if str(answer.text).strip() else ("no", "the answer is empty")


def _tools(model: BaseChatModel, answers: Answers) -> Reading:
    """Ask for one call. Calls in the text of an answer, and broken ones, are read as a run reads them."""
    for tries in range(_MOST_TRIES):
        raw, answer = _called(model, [_SYSTEM, _LOOK_UP], answers)
        if not _usable(answer):
            continue
        answers.call = answer
        if tries:
            return "weaker", "some calls are broken, and the model has to be told"
        return ("native", "") if raw.tool_calls else ("weaker", "calls stand in the text of the answer")
    return "no", "no call of the tool came"


def _called(model: BaseChatModel, messages: Sequence[BaseMessage], answers: Answers) -> tuple[AIMessage, AIMessage]:
    """Return an answer as it came, and with its calls."""
    try:
        raw = model.bind_tools([_TOOL]).invoke(list(messages))
        answers.usage.append(raw)
    except openai.APIError as error:
        if (failed := failed_call(error)) is None:
            raise
        raw = failed
    box = Toolbox({"population": _TOOL}, ("population",))
    answer = with_calls(raw, box, "check")
    return raw, answer if isinstance(answer, AIMessage) else raw


def _usable(answer: AIMessage) -> list[ToolCall]:
    named = [call for call in answer.tool_calls if call["name"] == "population"]
    return [call for call in named if isinstance(call["args"].get("town"), str)]


def _tool_results(model: BaseChatModel, answers: Answers) -> Reading:
    if answers.call is None:
        return "no", "there was no call to answer"
    results = [ToolMessage("412", tool_call_id=str(call["id"])) for call in answers.call.tool_calls]
    _, answer = _called(model, [_SYSTEM, _LOOK_UP, answers.call, *results], answers)
    if answer.tool_calls:
        return "weaker", "the model called again"
    return ("native", "") if str(answer.text).strip() else ("no", "the answer is empty")


def _parallel(model: BaseChatModel, answers: Answers) -> Reading:
    _, answer = _called(model, [_SYSTEM, _BOTH], answers)
    if not (calls := _usable(answer)):
        return "no", "no call of the tool came"
    return ("native", "") if len(calls) > 1 else ("weaker", "one call at a time")


def _plan(model: BaseChatModel, answers: Answers) -> Reading:
    asked = model.with_structured_output(_PLAN, method="json_schema", include_raw=True)
    reply: Any = asked.invoke([_SYSTEM, HumanMessage("Plan in two steps how to boil an egg.")])
    answers.usage.append(reply["raw"])
    read = [reply["parsed"], *json_objects(str(reply["raw"].text))]
    if any(_is_plan(value) for value in read[:1]):
        return "native", ""
    return ("weaker", "words around the JSON") if any(map(_is_plan, read)) else ("no", "the answer is no JSON plan")


def _is_plan(value: Any) -> bool:
    steps = value.get("sub_tasks") if isinstance(value, dict) else None
    return isinstance(steps, list) and bool(steps) and all(isinstance(step, dict) and "id" in step for step in steps)


def _streaming(model: BaseChatModel, answers: Answers) -> Reading:
    chunks: Iterator[Any] = model.stream([_SYSTEM, HumanMessage("Count from one to ten in words.")])
    pieces, whole = 0, None
    for chunk in chunks:
        pieces += bool(str(chunk.text))
        whole = chunk if whole is None else whole + chunk
    if whole is None or not pieces:
        return "no", "the answer is empty"
    assert isinstance(whole, AIMessageChunk)
    answers.usage.append(whole)
    return ("native", "") if pieces > 1 else ("weaker", "the answer comes at once")


REQUESTS: Sequence[tuple[str, Asker]] = (
    ("chat", _chat),
    ("tools", _tools),
    ("tool results", _tool_results),
    ("parallel tools", _parallel),
    ("JSON plan", _plan),
    ("streaming", _streaming),
)


def tokens_of(messages: Sequence[BaseMessage]) -> int | None:
    """Return the tokens that answers report; None if one does not report them."""
    reported = [getattr(message, "usage_metadata", None) for message in messages]
    if not reported or any(usage is None for usage in reported):
        return None
    return sum(int(usage["total_tokens"]) for usage in reported if usage is not None)
