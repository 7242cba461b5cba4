"""Forms of tools and of the calls in a conversation."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from orchestrator.models.json_tool_calls import tool_prompt, tool_schema
from orchestrator.models.requests.form import Body, Form, Message, joined, with_messages, without, words
from orchestrator.models.requests.schemas import simple_schema, told, wanted_schema

_ID_LENGTH = 9  # Mistral takes ids of just this length


def _json_tools(body: Body) -> Body:
    """Ask for a tool call as JSON of a schema, and render the calls of the conversation in plain roles."""
    plain = in_words(body)
    if not (tools := body.get("tools")):
        return plain
    choice, final = body.get("tool_choice"), wanted_schema(body)
    schema = tool_schema(tools, choice, final)
    asked = without(plain, "tools", "tool_choice", "parallel_tool_calls", "strict")
    wrapped = {"name": str(schema.get("title", "answer")), "schema": schema}
    return {
        **told(asked, tool_prompt(tools, choice)),
        "response_format": {"type": "json_schema", "json_schema": wrapped},
    }


def in_words(body: Body) -> Body:
    """Return a request with the tool calls of its conversation as their JSON, and their results as the user's text."""
    # Endpoints without tools often refuse the roles and fields of tool calling too.
    names: dict[str, str] = {}
    rendered: list[Message] = []
    is_result = False
    for message in body["messages"]:
        if calls := message.get("tool_calls"):
            names.update({str(call.get("id")): call["function"]["name"] for call in calls})
            rendered.append({"role": "assistant", "content": "\n".join(map(_step, calls))})
        elif message["role"] == "tool":
            name = names.get(str(message.get("tool_call_id"))) or "the tool"
            result = {"role": "user", "content": _result(name, message.get("content"))}
            if is_result:  # endpoints without tools often want roles that alternate too
                rendered[-1] = joined([rendered[-1], result])
            else:
                rendered.append(result)
        else:
            rendered.append(message)
        is_result = message["role"] == "tool"
    return with_messages(body, rendered)


def _step(call: dict[str, Any]) -> str:
    function = call["function"]
    try:
        arguments = json.loads(function.get("arguments") or "{}")
    except ValueError:
        arguments = function["arguments"]  # the model's own, and not JSON
    return json.dumps({"tool": function["name"], "args": arguments}, ensure_ascii=False)


def _result(name: str, content: object) -> Any:
    if isinstance(content, list):
        return [{"type": "text", "text": f"Result of {name}:"}, *content]
    return f"Result of {name}:\n{content or ''}"


def _plain_history(body: Body) -> Body:
    return body if body.get("tools") else in_words(body)


def _single_calls(body: Body) -> Body:
    """Let each call of a conversation be a message of its own, with its result behind it."""
    results = {m.get("tool_call_id"): m for m in body["messages"] if m["role"] == "tool"}
    split: list[Message] = []
    moved: set[str] = set()
    for message in body["messages"]:
        calls = message.get("tool_calls") or []
        if len(calls) < 2:
            if message["role"] != "tool" or message.get("tool_call_id") not in moved:
                split.append(message)
            continue
        for at, call in enumerate(calls):
            split.append({**message, "tool_calls": [call], "content": message.get("content") if at == 0 else None})
            if (result := results.get(call.get("id"))) is not None:
                moved.add(call["id"])
                split.append(result)
    return with_messages(body, split)


def _short_ids(body: Body) -> Body:
    def shortened(message: Message) -> Message:
        if message.get("tool_calls"):
            calls = [{**call, "id": short_id(str(call.get("id")))} for call in message["tool_calls"]]
            return {**message, "tool_calls": calls}
        if "tool_call_id" in message:
            return {**message, "tool_call_id": short_id(str(message["tool_call_id"]))}
        return message

    return with_messages(body, [shortened(message) for message in body["messages"]])


def short_id(call_id: str) -> str:
    """Return the id itself if every endpoint takes it, or nine letters and digits that stand for it."""
    if len(call_id) == _ID_LENGTH and call_id.isalnum() and call_id.isascii():
        return call_id
    return hashlib.sha256(call_id.encode()).hexdigest()[:_ID_LENGTH]


def _loose_tools(body: Body) -> Body:
    return _with_functions(body, lambda function: without(function, "strict"))


def _simple_tools(body: Body) -> Body:
    def simplified(function: dict[str, Any]) -> dict[str, Any]:
        kept = without(function, "strict")
        return {**kept, "parameters": simple_schema(function.get("parameters") or {"type": "object"})}

    return _with_functions(body, simplified)


def _with_functions(body: Body, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Body:
    tools = body.get("tools")
    changed = [{**tool, "function": change(tool["function"])} for tool in tools or () if "function" in tool]
    return {**body, "tools": changed} if tools and changed != tools else body


_TOOL = r"\btools?\b|tool_choice|tool_calls?|function.?(call|declaration)"

LOOSE_TOOLS = Form("loose_tools", _loose_tools, words(r"\bstrict\b"))
SIMPLE_TOOLS = Form(
    "simple_tools",
    _simple_tools,
    words(
        r"(tool|function|parameter).{0,80}(schema|property|keyword)|additionalProperties|\$schema|unknown name|grammar",
        _TOOL,
    ),
)
SHORT_IDS = Form("short_ids", _short_ids, words(r"(tool|call).{0,20}\bids?\b|\bid\b.{0,60}(length|pattern|a-z)"))
SINGLE_CALLS = Form(
    "single_calls", _single_calls, words(r"(single|one|multiple|parallel|several).{0,20}(tool|function).{0,3}calls?")
)
PLAIN_HISTORY = Form("plain_history", _plain_history, words(_TOOL, r"role.{0,20}tool"))
JSON_TOOLS = Form(
    "json_tools",
    _json_tools,
    None,  # many refusals name tools, and mean a part of them that another form mends
    words(
        r"support (native |any |the )?(tools?\b|function calling|tool (use|calling|calls)\b)",
        r"\b(tools?|tool (use|calling|calls)|function calling) (is|are) not (supported|available|enabled)",
        r"(tool choice|\btools?( param(eter)?)?) requires?\b|no tools\b|\W(tools|functions)['\"`]",
        r"(unknown|unsupported|unrecognized|unexpected|invalid) (field|param(eter)?|argument|key|name)\W{1,6}tools\b",
        r"role.{0,12}\btool\b.{0,40}(unknown|invalid|not supported)|(unknown|invalid|unsupported) role\W{1,6}tool\b",
    ),
    is_costly=True,
)
