"""Conditions: single things that a chat request can have, for refusals. Combine them with `any_of` and `all_of`."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from orchestrator.testing.dialects.dialect import Body, Condition, Found
from orchestrator.testing.script import count


def always(body: Body) -> Found:
    """Hold for each request."""
    return {}


def any_of(*conditions: Condition) -> Condition:
    """Hold if one of the conditions holds."""
    return lambda body: next((found for one in conditions if (found := one(body)) is not None), None)


def all_of(*conditions: Condition) -> Condition:
    """Hold if all conditions hold."""

    def condition(body: Body) -> Found:
        merged: dict[str, object] = {}
        for one in conditions:
            if (found := one(body)) is None:
                return None
            merged.update(found)
        return merged

    return condition


def without(condition: Condition) -> Condition:
    """Hold if the condition does not."""
    return lambda body: {} if condition(body) is None else None


def parameter(*names: str) -> Condition:
    """Hold if the request has one of the parameters: `{parameter}` and its `{value}`."""

    def condition(body: Body) -> Found:
        # A parameter that is null counts as left out, as servers take it.
        # A parameter that is null counts as left out, as servers take it.
        name = next((name for name in names if body.get(name) is not None), None)
        return None if name is None else {"parameter": name, "value": body[name]}

    return condition


def parameter_beyond(*known: str) -> Condition:
    """Hold if the request has a parameter that is not `known`: `{parameter}` and its `{value}`."""

    def condition(body: Body) -> Found:
        name = next((name for name in body if name not in known), None)
        return None if name is None else {"parameter": name, "value": body[name]}

    return condition


def option(parameter_name: str, *values: object) -> Condition:
    """Hold if the parameter has one of the values: `{value}`."""
    return lambda body: {"value": body[parameter_name]} if body.get(parameter_name) in values else None


def not_streamed(body: Body) -> Found:
    """Hold if the request asks for no stream."""
    # Thinking models of DashScope take streamed requests only.
    # Thinking models of DashScope take streamed requests only.
    return None if body.get("stream") else {}


def tool_choice_object(body: Body) -> Found:
    """Hold if `tool_choice` names one tool."""
    return {} if isinstance(body.get("tool_choice"), dict) else None


def forced_tool(body: Body) -> Found:
    """Hold if `tool_choice` asks for a call: `{value}`."""
    choice = body.get("tool_choice")
    # Mistral writes "any" where others write "required".
    return {"value": choice} if isinstance(choice, dict) or choice in ("required", "any") else None


def strict_tool(body: Body) -> Found:
    """Hold if a tool is declared as `strict`."""
    return {} if any("strict" in tool.get("function", {}) for tool in body.get("tools") or ()) else None


def format_of(*kinds: str) -> Condition:
    """Hold if `response_format` is of one of the types: `{kind}`."""

    def condition(body: Body) -> Found:
        kind = (body.get("response_format") or {}).get("type")
        return {"kind": kind} if kind in kinds else None

    return condition


def strict_schema(body: Body) -> Found:
    """Hold if the schema of the answer is `strict`."""
    wanted = (body.get("response_format") or {}).get("json_schema") or {}
    return {} if wanted.get("strict") else None


def format_with_tools(body: Body) -> Found:
    """Hold if the request has both tools and a `response_format` for JSON."""
    # In llama.cpp the grammar of a schema and that of the calls exclude each other.
    # In llama.cpp the grammar of a schema and that of the calls exclude each other.
    is_json = (body.get("response_format") or {}).get("type") not in (None, "text")
    return {} if is_json and body.get("tools") else None


def json_unnamed(body: Body) -> Found:
    """Hold if the request wants a JSON object, and no message has the word JSON."""
    is_object = (body.get("response_format") or {}).get("type") == "json_object"
    return {} if is_object and "json" not in str(body["messages"]).lower() else None


def schema_word(*words: str, of: str = "tools") -> Condition:
    """Hold if a schema has one of the keywords: `{word}` and its `{path}`.

    Args:
        words: The keywords.
        of: `tools` for the schemas of tools, `response_format` for the schema of the answer.
    """

    def condition(body: Body) -> Found:
        for number, schema in enumerate(_schemas(body, of)):
            for path, node in _nodes(schema, f"{of}[{number}].parameters"):
                for word in words:
                    if word in node:
                        return {"word": word, "path": path, "number": number}
        return None

    return condition


def _schemas(body: Body, of: str) -> list[Any]:
    if of == "tools":
        return [tool.get("function", {}).get("parameters") or {} for tool in body.get("tools") or ()]
    wanted = (body.get("response_format") or {}).get("json_schema") or {}
    return [wanted["schema"]] if "schema" in wanted else []


def _nodes(schema: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the schemas inside a schema, each with its path. A property's name is no keyword."""
    if not isinstance(schema, dict):
        return
    yield path, schema
    for name, part in (schema.get("properties") or {}).items():
        yield from _nodes(part, f"{path}.properties.{name}")
    for name in ("items", "additionalProperties"):
        yield from _nodes(schema.get(name), f"{path}.{name}")
    for name in ("anyOf", "allOf", "oneOf"):
        for number, part in enumerate(schema.get(name) or ()):
            yield from _nodes(part, f"{path}.{name}[{number}]")
    for name, part in (schema.get("$defs") or {}).items():
        yield from _nodes(part, f"{path}.$defs.{name}")


def too_long(window: int) -> Condition:
    """Hold if prompt and answer do not fit: `{window}`, `{prompt}`, `{limit}` and `{total}`. A word counts as one."""

    def condition(body: Body) -> Found:
        prompt = count(" ".join(str(message.get("content") or "") for message in body["messages"]))
        limit = body.get("max_completion_tokens") or body.get("max_tokens") or 0
        if prompt + limit <= window:
            return None
        return {"window": window, "prompt": prompt, "limit": limit, "total": prompt + limit}

    return condition


def parallel_calls(body: Body) -> Found:
    """Hold if a message has more than one tool call."""
    return {} if any(len(message.get("tool_calls") or ()) > 1 for message in body["messages"]) else None


def call_id_other_than(pattern: str) -> Condition:
    """Hold if the id of a tool call does not match: `{id}`."""

    def condition(body: Body) -> Found:
        for call in _calls(body):
            if not re.fullmatch(pattern, str(call.get("id") or "")):
                return {"id": call.get("id") or "null"}
        return None

    return condition


def call_without(*path: str) -> Condition:
    """Hold if a former tool call lacks a field, which this server had sent: `{name}` of its function.

    Args:
        path: The names that lead to the field inside the call.
    """

    def condition(body: Body) -> Found:
        for call in _calls(body):
            value: Any = call
            for name in path:
                value = value.get(name) if isinstance(value, dict) else None
            if not value:
                return {"name": call.get("function", {}).get("name", "")}
        return None

    return condition


def broken_arguments(body: Body) -> Found:
    """Hold if the arguments of a former call are no JSON object: `{arguments}`."""
    for call in _calls(body):
        arguments = call.get("function", {}).get("arguments")
        try:
            if isinstance(json.loads(arguments), dict):
                continue
        except (TypeError, ValueError):
            pass
        return {"arguments": arguments}
    return None


def _calls(body: Body) -> Iterator[dict[str, Any]]:
    for message in body["messages"]:
        yield from message.get("tool_calls") or ()


def unanswered_call(body: Body) -> Found:
    """Hold if tool calls and tool messages do not belong together: `{id}`."""
    open_ids: list[str] = []
    for message in body["messages"]:
        if message["role"] == "tool":
            if message.get("tool_call_id") not in open_ids:
                return {"id": message.get("tool_call_id")}
            open_ids.remove(message["tool_call_id"])
        elif open_ids:
            break
        elif message["role"] == "assistant":
            open_ids = [call.get("id") for call in message.get("tool_calls") or ()]
    return {"id": open_ids[0]} if open_ids else None


def words(*wanted: str) -> Condition:
    """Hold if a message has one of the words: `{word}`."""

    def condition(body: Body) -> Found:
        text = " ".join(str(message.get("content") or "") for message in body["messages"])
        word = next((word for word in wanted if word in text), None)
        return None if word is None else {"word": word}

    return condition


def roles_of(body: Body) -> Sequence[str]:
    """Return the roles of the messages."""
    return [message["role"] for message in body["messages"]]
