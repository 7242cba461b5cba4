"""Forms of tool calls: native ones with peculiarities, and calls that stand in the text."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from orchestrator.testing.dialects.dialect import Body, Change, Completion
from orchestrator.testing.dialects.quirks import message_of

Call = dict[str, Any]
Template = Callable[[Sequence[tuple[str, dict[str, Any]]]], str]
"""Writes calls, as (name, arguments), the way a model was trained to."""


def _changed(completion: Completion, **message: Any) -> Completion:
    choice = completion["choices"][0]
    changed = {name: value for name, value in {**choice["message"], **message}.items() if value is not ...}
    return {**completion, "choices": [{**choice, "message": changed}]}


def each_call(change: Callable[[Call, int], Call]) -> Change:
    """Return a change of each tool call. `change` takes the call and its number."""

    def changed(completion: Completion, _: Body) -> Completion:
        calls = message_of(completion).get("tool_calls")
        if not calls:
            return completion
        return _changed(completion, tool_calls=[change(call, at) for at, call in enumerate(calls)])

    return changed


def _function(call: Call, **changes: Any) -> Call:
    return {**call, "function": {**call["function"], **changes}}


def call_fields(of_call: Callable[[str], dict[str, Any]]) -> Change:
    """Return a change that adds fields to each call. `of_call` takes its id."""
    return each_call(lambda call, _: {**call, **of_call(call["id"])})


def ids(of_call: Callable[[Call, int], str | None]) -> Change:
    """Return a change that gives calls other ids; None takes them away."""

    def change(call: Call, at: int) -> Call:
        new = of_call(call, at)
        rest = {name: value for name, value in call.items() if name != "id"}
        return rest if new is None else {**rest, "id": new}

    return each_call(change)


def short_id(call: Call, _: int) -> str:
    """Return an id of nine letters and digits, as Mistral gives them."""
    return re.sub(r"[^a-zA-Z0-9]", "", str(call["id"]))[-9:]


def argument_objects(completion: Completion, body: Body) -> Completion:
    """Return a completion whose arguments are objects and no texts."""
    change = each_call(lambda call, _: _function(call, arguments=json.loads(call["function"]["arguments"])))
    return change(completion, body)


def arguments(broken: Callable[[str], Any]) -> Change:
    """Return a change of the text of the arguments, for arguments that are broken."""
    return each_call(lambda call, _: _function(call, arguments=broken(call["function"]["arguments"])))


def without_type(completion: Completion, body: Body) -> Completion:
    """Return a completion whose calls have no `type`."""
    return each_call(lambda call, _: {name: value for name, value in call.items() if name != "type"})(completion, body)


def without_function(call: Call, _: int) -> Call:
    """Return a call with its name and its arguments beside the id."""
    return {"id": call["id"], **call["function"]}


def arguments_under(field: str) -> Change:
    """Return a change that sends the arguments as an object under another name."""

    def change(call: Call, _: int) -> Call:
        function = {"name": call["function"]["name"], field: json.loads(call["function"]["arguments"])}
        return {**call, "function": function}

    return each_call(change)


def as_function_call(completion: Completion, _: Body) -> Completion:
    """Return a completion with its first call in `function_call`, as interfaces before tools have it."""
    calls = message_of(completion).get("tool_calls")
    if not calls:
        return completion
    changed = _changed(completion, tool_calls=..., function_call=calls[0]["function"])
    return {**changed, "choices": [{**changed["choices"][0], "finish_reason": "function_call"}]}


def in_other_choice(completion: Completion, _: Body) -> Completion:
    """Return a completion with its calls in a choice of their own, behind one with words."""
    choice = completion["choices"][0]
    if not (calls := choice["message"].get("tool_calls")):
        return completion
    words = {"role": "assistant", "content": choice["message"].get("content") or "I will look that up."}
    asked = {"role": "assistant", "content": None, "tool_calls": calls}
    first = {**choice, "message": words, "finish_reason": "tool_calls"}
    return {**completion, "choices": [first, {**choice, "index": 1, "message": asked}]}


def beside_message(completion: Completion, _: Body) -> Completion:
    """Return a completion with its calls in the choice instead of the message."""
    calls = message_of(completion).get("tool_calls")
    changed = _changed(completion, tool_calls=...)
    return {**changed, "choices": [{**changed["choices"][0], **({"tool_calls": calls} if calls else {})}]}


def as_blocks(completion: Completion, _: Body) -> Completion:
    """Return a completion with its calls as blocks of the content, as Anthropic's models write them."""
    if not (calls := message_of(completion).get("tool_calls")):
        return completion
    blocks = [
        {"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": json.loads(arguments)}
        for call in calls
        if (arguments := call["function"]["arguments"])
    ]
    return _changed(completion, tool_calls=..., content=[{"type": "text", "text": "I will look."}, *blocks])


def finished_as_text(completion: Completion, _: Body) -> Completion:
    """Return a completion with calls that says `stop`."""
    return {**completion, "choices": [{**completion["choices"][0], "finish_reason": "stop"}]}


def in_text(template: Template, field: str = "content") -> Change:
    """Return a change that writes the calls into the text.

    Args:
        template: The model's way to write calls.
        field: The field of the message; `reasoning_content` for calls among the thoughts.
    """

    def change(completion: Completion, _: Body) -> Completion:
        calls = message_of(completion).get("tool_calls")
        if not calls:
            return completion
        pairs = [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]
        written = {"content": None, field: template(pairs)}
        return finished_as_text(_changed(completion, tool_calls=..., **written), {})

    return change


def hermes(calls: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """Write calls as Qwen, Hermes and others do."""
    steps = (json.dumps({"name": name, "arguments": given}) for name, given in calls)
    return "\n".join(f"<tool_call>\n{step}\n</tool_call>" for step in steps)


def mistral(calls: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """Write calls as Mistral's models do."""
    return "[TOOL_CALLS]" + json.dumps([{"name": name, "arguments": given} for name, given in calls])


def llama(calls: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """Write calls as Llama 3.1 and later do."""
    steps = (json.dumps({"type": "function", "name": name, "parameters": given}) for name, given in calls)
    return "<|python_tag|>" + "; ".join(steps)


def llama_function(calls: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """Write calls as Llama does with functions of a user's own."""
    return "\n".join(f"<function={name}>{json.dumps(given)}</function>" for name, given in calls)


def pythonic(calls: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """Write calls as Python, as Llama 3.2 and 4 do."""
    steps = (f"{name}({', '.join(f'{key}={value!r}' for key, value in given.items())})" for name, given in calls)
    return f"[{', '.join(steps)}]"


def fenced(calls: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """Write calls in fences of JSON, with a sentence before."""
    steps = (json.dumps({"name": name, "arguments": given}, indent=2) for name, given in calls)
    return "I will look that up.\n\n" + "\n".join(f"```json\n{step}\n```" for step in steps)


def qwen_coder(calls: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """Write calls as Qwen3-Coder does, in tags."""
    steps = []
    for name, given in calls:
        lines = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in given.items())
        steps.append(f"<tool_call>\n<function={name}>\n{lines}</function>\n</tool_call>")
    return "\n".join(steps)


def deepseek(calls: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """Write calls as DeepSeek's models do, between special tokens with bars of their own."""
    steps = (
        f"{_token('tool▁call▁begin')}{name}{_token('tool▁sep')}{json.dumps(given)}{_token('tool▁call▁end')}"
        for name, given in calls
    )
    return f"{_token('tool▁calls▁begin')}{''.join(steps)}{_token('tool▁calls▁end')}"


def _token(name: str) -> str:
    return f"<\uff5c{name}\uff5c>"
