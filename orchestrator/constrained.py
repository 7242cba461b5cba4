"""Tools and structured answers for endpoints that have neither: a JSON schema constrains the answer instead.

A call of tools becomes one schema with an alternative for each tool and one for the final answer; the JSON that comes
back becomes real tool calls again, so that agents need not know. The history is rendered as plain text, since such
endpoints often refuse the roles and fields of tool calling too.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult

Schema = dict[str, Any]
ANSWER = "answer"
_PLACES = ("$defs", "definitions")
# What OpenAI takes in a strict schema; it refuses one that has anything else.
_STRICT_WORDS = frozenset(
    {"type", "title", "description", "properties", "required", "additionalProperties", "items", "enum", "const"}
    | {"anyOf", "$ref", "$defs", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
    | {"multipleOf", "minItems", "maxItems"}
)
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_TAG = r"(?:think|thinking|thought|reasoning)"
_THOUGHTS = re.compile(rf"<{_TAG}>.*?</{_TAG}>", re.S | re.I)
# At the beginning of an answer; some chat templates open the tag in the prompt, so that only its end is in the answer.
_FIRST_THOUGHTS = re.compile(
    rf"\A(?:(?:\s*<{_TAG}>.*?</{_TAG}>)+|(?:(?!<{_TAG}>).)*?^[ \t]*</{_TAG}>[ \t]*$)\s*", re.S | re.I | re.M
)


def tool_schema(
    tools: Sequence[Mapping[str, Any]], tool_choice: object, answer_schema: Mapping[str, Any] | None = None
) -> Schema:
    """The schema of one step: a call of one of the tools, or the final answer where the choice leaves it open.

    Args:
        tools: In OpenAI's form, `{"type": "function", "function": {…}}`.
        tool_choice: As OpenAI has it: None, "auto", "any", "required", or one tool's name or object.
        answer_schema: What the final answer must fit; None for plain text.
    """
    functions = [tool["function"] for tool in tools]
    forced = tool_choice if isinstance(tool_choice, str) else _chosen_name(tool_choice)
    if forced in {function["name"] for function in functions}:
        functions = [function for function in functions if function["name"] == forced]
    alternatives = [
        _closed(tool={"const": function["name"]}, args=_plain_schema(function.get("parameters") or {}))
        for function in functions
    ]
    if forced in (None, "auto", "none"):
        text = {"type": "string"} if answer_schema is None else inlined(answer_schema)
        alternatives.append(_closed(tool={"const": ANSWER}, text=text))
    return {"title": "Step", "anyOf": alternatives} if len(alternatives) > 1 else {"title": "Step", **alternatives[0]}


def _chosen_name(tool_choice: object) -> str | None:
    if isinstance(tool_choice, Mapping):
        return str(tool_choice.get("function", {}).get("name") or "") or None
    return None


def _closed(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _plain_schema(parameters: Mapping[str, Any]) -> Schema:
    """A tool's parameters without what grammars stumble over; optional arguments stay optional."""
    kept = {
        name: value for name, value in inlined(parameters).items() if name not in ("title", "description", "$schema")
    }
    kept.setdefault("type", "object")
    kept["properties"] = {
        name: {k: v for k, v in value.items() if k not in ("title", "description", "default")}
        for name, value in (kept.get("properties") or {}).items()
    }
    kept["additionalProperties"] = False
    return kept


def inlined(schema: Mapping[str, Any]) -> Schema:
    """A schema with its local references replaced by what they name.

    References are resolved from a schema's root, and inside another schema this one is no root any more. Where a
    definition contains itself, the inner one is left open.
    """
    definitions = {f"#/{place}/{name}": body for place in _PLACES for name, body in (schema.get(place) or {}).items()}

    def resolve(node: Any, inside: tuple[str, ...]) -> Any:
        if isinstance(node, list):
            return [resolve(item, inside) for item in node]
        if not isinstance(node, Mapping):
            return node
        name = node.get("$ref")
        if isinstance(name, str) and name in definitions:
            beside = {key: value for key, value in node.items() if key != "$ref"}
            return {} if name in inside else resolve({**definitions[name], **beside}, (*inside, name))
        return {key: resolve(value, inside) for key, value in node.items()}

    return {key: resolve(value, ()) for key, value in schema.items() if key not in _PLACES}


def _about(function: Mapping[str, Any]) -> str:
    """The first paragraph of a tool's description, and its example."""
    paragraphs = str(function.get("description") or "").split("\n\n")
    shown = [paragraphs[0], *(part for part in paragraphs[1:] if part.strip().startswith("For example"))]
    return " ".join(" ".join(shown).split())


def tool_prompt(tools: Sequence[Mapping[str, Any]], tool_choice: object) -> str:
    """Says in words which tools there are and how a step looks."""
    lines = ["Answer with one JSON object: the next step. You have these tools:"]
    for tool in tools:
        function = tool["function"]
        parameters = function.get("parameters") or {}
        required = parameters.get("required") or ()
        arguments = ", ".join(n if n in required else f"[{n}]" for n in parameters.get("properties") or {})
        lines.append(f"- {function['name']}({arguments}): {_about(function)}")
    lines.append('To use a tool: {"tool": "<its name>", "args": {…}}. Leave out arguments in [brackets] at first.')
    if tool_choice in (None, "auto", "none"):
        lines.append(
            "When you know enough, or a tool has already given what was asked: "
            f'{{"tool": "{ANSWER}", "text": "<your result>"}}'
        )
    return "\n".join(lines)


def render_plain(messages: Sequence[BaseMessage], extra: str = "") -> list[BaseMessage]:
    """The conversation in plain roles: calls as the JSON that made them, results as the user's text.

    Args:
        messages: The conversation.
        extra: Added to the system message.
    """
    rendered: list[BaseMessage] = []
    for message in messages:
        if isinstance(message, AIMessage) and message.tool_calls:
            steps = [json.dumps({"tool": c["name"], "args": c["args"]}, ensure_ascii=False) for c in message.tool_calls]
            rendered.append(AIMessage("\n".join(steps)))
        elif isinstance(message, ToolMessage):
            rendered.append(HumanMessage(f"Result of {message.name or 'the tool'}:\n{message.text}"))
        else:
            rendered.append(message)
    if not extra:
        return rendered
    if rendered and isinstance(rendered[0], SystemMessage):
        return [SystemMessage(f"{rendered[0].text}\n\n{extra}"), *rendered[1:]]
    return [SystemMessage(extra), *rendered]


def restore_calls(result: ChatResult, tools: Sequence[Mapping[str, Any]]) -> ChatResult:
    """Turns the JSON step in an answer back into a tool call, or into the final text."""
    return ChatResult(
        generations=[
            ChatGeneration(message=_restored(g.message, tools), generation_info=g.generation_info)
            for g in result.generations
        ],
        llm_output=result.llm_output,
    )


def _restored(message: BaseMessage, tools: Sequence[Mapping[str, Any]]) -> BaseMessage:
    names = {tool["function"]["name"] for tool in tools}
    step = next((found for found in _json_objects(str(message.text)) if "tool" in found), None)
    if step is None:
        return message
    if step.get("tool") in names and isinstance(step.get("args"), dict):
        digest = hashlib.sha256(json.dumps([message.id, step], sort_keys=True).encode()).hexdigest()[:16]
        call = {"name": step["tool"], "args": step["args"], "id": f"call_{digest}", "type": "tool_call"}
        return message.model_copy(update={"content": "", "tool_calls": [call]})
    if step.get("tool") == ANSWER:
        text = step.get("text", "")
        return message.model_copy(update={"content": text if isinstance(text, str) else json.dumps(text)})
    return message


def schema_prompt(schema: Mapping[str, Any]) -> str:
    """Asks in words for JSON of a schema, for endpoints that take none."""
    return "Answer with one JSON object, and nothing else, that fits this JSON schema:\n" + json.dumps(schema)


def _json_objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in a text that may have words or a code fence around them; none of them is inside another."""
    decoder = json.JSONDecoder()
    at = text.find("{")
    while at >= 0:
        try:
            found, end = decoder.raw_decode(text, at)
        except ValueError:
            end = at + 1
        else:
            yield found
        at = text.find("{", end)


def answered_json(text: str, schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The JSON object that a text gives as its answer: the first that fits the schema, or else the first.

    What the model thought before is no answer: it often has drafts in it.
    """
    try:
        whole = json.loads(text)
    except ValueError:
        said = _THOUGHTS.sub("", without_thoughts(text))
    else:
        return whole if isinstance(whole, dict) else None
    found = list(_json_objects(re.split(rf"<{_TAG}>", said, maxsplit=1, flags=re.I)[0]))
    return next((one for one in found if fits(one, schema)), found[0] if found else None)


def without_thoughts(text: str) -> str:
    """An answer without the thoughts before it, where the endpoint leaves them in it; all of it if nothing else is."""
    return (_FIRST_THOUGHTS.sub("", text, count=1) or text) if "</" in text else text


def fits(value: object, schema: Mapping[str, Any]) -> bool:
    """Whether a value has the shape that a schema asks for; lengths, patterns and ranges are not looked at."""
    return _fits(value, inlined(schema))


def _fits(value: object, schema: object) -> bool:
    if not isinstance(schema, Mapping):
        return True  # true and false are schemas too
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "const" in schema and value != schema["const"]:
        return False
    if "anyOf" in schema and not any(_fits(value, part) for part in schema["anyOf"]):
        return False
    kinds = schema.get("type", ())
    kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    if kinds and not any(_is_a(value, kind) for kind in kinds):
        return False
    if isinstance(value, list):
        return all(_fits(item, schema.get("items")) for item in value)
    if not isinstance(value, dict):
        return True
    known = schema.get("properties") or {}
    if any(name not in value for name in schema.get("required") or ()):
        return False
    if schema.get("additionalProperties") is False and any(name not in known for name in value):
        return False
    return all(_fits(item, known.get(name)) for name, item in value.items())


def _is_a(value: object, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES.get(kind, (object,)))


def may_be_strict(schema: Mapping[str, Any]) -> bool:
    """Whether a schema keeps to OpenAI's rules for strict ones: closed objects whose properties are all required."""
    return schema.get("type") == "object" and "anyOf" not in schema and _may_be_strict(schema)


def _may_be_strict(schema: Mapping[str, Any]) -> bool:
    if not _STRICT_WORDS.issuperset(schema):
        return False
    properties = schema.get("properties") or {}
    if "properties" in schema or schema.get("type") == "object":
        closed = schema.get("additionalProperties") is False
        if not closed or set(schema.get("required") or ()) != set(properties):
            return False
    inner = [*properties.values(), *(schema.get("anyOf") or ()), *(schema.get("$defs") or {}).values()]
    if "items" in schema:
        inner.append(schema["items"])
    return all(isinstance(part, Mapping) and _may_be_strict(part) for part in inner)
