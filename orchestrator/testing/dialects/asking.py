"""The model behind a dialect: it understands a request in any form, and answers in the form that was asked for."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.models.json_answers import json_objects
from orchestrator.testing.dialects.dialect import Body
from orchestrator.testing.script import Reply, Request

_FINAL = "answer"
# In words, a schema has no title, and a model knows what is wanted by the fields.
_TITLES = {"sub_tasks": "Plan", "changes": "Revision", "verdict": "Verdict", "references": "Answer"}


def schema_of(body: Body) -> dict[str, Any]:
    """Return the schema of the answer; empty for none.

    It stands in the field for it, in the words of the messages, or in a function that has to be called with it.
    """
    if function := _form_function(body):
        return {"title": function["name"], **function["parameters"]}
    wanted = (body.get("response_format") or {}).get("json_schema") or {}
    if wanted:
        return {"title": wanted.get("name", ""), **wanted.get("schema", {})}
    found: dict[str, Any] = {}
    for message in body["messages"]:
        for value in json_objects(str(message.get("content") or "")):
            if "properties" in value or "anyOf" in value:
                found = _titled(value)
    return found


def _form_function(body: Body) -> dict[str, Any]:
    """Return the function that has to be called, if it is a form to fill in and no tool; empty for none."""
    # The only function is meant also where a server takes no `tool_choice`.
    functions: list[dict[str, Any]] = [tool["function"] for tool in body.get("tools") or ()]
    return functions[0] if len(functions) == 1 and functions[0]["name"] in _TITLES.values() else {}


def _titled(schema: dict[str, Any]) -> dict[str, Any]:
    title = next((title for name, title in _TITLES.items() if name in (schema.get("properties") or {})), "")
    return {**({"title": title} if title else {}), **schema}


def request_of(body: Body, plain: Request) -> Request:
    """Return the request for the script. In a step of JSON, the tools and the answer are alternatives of a schema.

    Args:
        body: The body of the request.
        plain: The request as its fields say it.
    """
    schema = schema_of(body)
    steps = _steps(schema)
    if not steps:
        tools = () if _form_function(body) else plain.tools
        return Request(plain.messages, tools, schema, plain.max_tokens)
    if form := _form_step(steps):
        return Request(plain.messages, (), {"title": form, **steps[form].get("args", {})}, plain.max_tokens)
    tools = tuple(name for name in steps if name != _FINAL)
    final = steps.get(_FINAL, {}).get("text", {})
    return Request(plain.messages, tools, _titled(final) if "properties" in final else {}, plain.max_tokens)


def reply_in_form(reply: Reply, body: Body) -> Reply:
    """Return a reply as a step of JSON or as the call of a function, where that is asked for.

    A step is one call: the first that is not done yet.
    """
    if (function := _form_function(body)) and not reply.calls:
        return Reply(calls=((function["name"], json.loads(reply.text)),))
    if not (steps := _steps(schema_of(body))):
        return reply
    if form := _form_step(steps):
        return Reply(text=json.dumps({"tool": form, "args": json.loads(reply.text)}))
    if reply.calls:
        said = " ".join(str(message.get("content") or "") for message in body["messages"])
        written = [json.dumps({"tool": name, "args": dict(given)}) for name, given in reply.calls]
        return Reply(text=next((step for step in written if step not in said), written[-1]))
    try:
        text: Any = json.loads(reply.text)
    except ValueError:
        text = reply.text
    return Reply(text=json.dumps({"tool": _FINAL, "text": text if isinstance(text, dict) else reply.text}))


def is_step(body: Body) -> bool:
    """True if a request asks for a tool call or an answer as JSON, in place of native tools."""
    return bool(_steps(schema_of(body)))


def _form_step(steps: Mapping[str, Any]) -> str:
    """Return the function that has to be called, if it is a form to fill in and no tool; empty for none."""
    return next((name for name in steps if name in _TITLES.values()), "")


def _steps(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the alternatives of a step by tool; empty for a schema of something else."""
    alternatives = [one.get("properties") or {} for one in schema.get("anyOf") or (schema,)]
    named = {name: one for one in alternatives if (name := _only_value(one.get("tool") or {}))}
    return named if len(named) == len(alternatives) else {}


def _only_value(schema: Mapping[str, Any]) -> str:
    values: Sequence[Any] = [schema["const"]] if "const" in schema else schema.get("enum") or ()
    return str(values[0]) if len(values) == 1 else ""
