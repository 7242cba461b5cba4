"""JSON answers: extract them from a text, and check them against a schema."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

Schema = dict[str, Any]

_DEFINITIONS = ("$defs", "definitions")
# OpenAI refuses a strict schema with any other keyword.
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
# At the beginning of an answer. Some chat templates open the tag in the prompt, so the answer has only its end.
_FIRST_THOUGHTS = re.compile(
    rf"\A(?:(?:\s*<{_TAG}>.*?</{_TAG}>)+|(?:(?!<{_TAG}>).)*?^[ \t]*</{_TAG}>[ \t]*$)\s*", re.S | re.I | re.M
)


def inlined(schema: Mapping[str, Any]) -> Schema:
    """Return a schema with its local references replaced by their definitions.

    References start from the root of a schema, so they break when the schema becomes a part of another one. In a
    definition that contains itself, the inner reference becomes a schema that takes anything.
    """
    definitions = {
        f"#/{section}/{name}": body for section in _DEFINITIONS for name, body in (schema.get(section) or {}).items()
    }

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

    return {key: resolve(value, ()) for key, value in schema.items() if key not in _DEFINITIONS}


def schema_prompt(schema: Mapping[str, Any]) -> str:
    """Return a prompt that asks for JSON of a schema, for endpoints that take no schemas."""
    return "Answer with one JSON object, and nothing else, that fits this JSON schema:\n" + json.dumps(schema)


def json_objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield the outermost JSON objects in a text that may have words or a code fence around them."""
    decoder = json.JSONDecoder()
    start = text.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except ValueError:
            end = start + 1
        else:
            yield value
        start = text.find("{", end)


def answered_json(text: str, schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the JSON object that a text gives as its answer: the first that fits the schema, or else the first."""
    try:
        # First without a search for thoughts: a text inside the JSON may look like one.
        whole = json.loads(text)
    except ValueError:
        answer = _THOUGHTS.sub("", without_thoughts(text))  # thoughts often contain drafts of the answer
    else:
        return whole if isinstance(whole, dict) else None
    # After an opening tag without an end come only thoughts: the answer was cut off in them.
    objects = list(json_objects(re.split(rf"<{_TAG}>", answer, maxsplit=1, flags=re.I)[0]))
    return next((one for one in objects if fits(one, schema)), objects[0] if objects else None)


def without_thoughts(text: str) -> str:
    """Return an answer without the thoughts at its beginning; an answer of thoughts alone stays whole."""
    return (_FIRST_THOUGHTS.sub("", text, count=1) or text) if "</" in text else text


def fits(value: object, schema: Mapping[str, Any]) -> bool:
    """True if a value has the shape that a schema asks for. Lengths, patterns and ranges are not checked."""
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
        return kind == "boolean"  # in Python, a bool is an int too
    return isinstance(value, _TYPES.get(kind, (object,)))


def may_be_strict(schema: Mapping[str, Any]) -> bool:
    """True if a schema keeps OpenAI's rules for strict schemas: closed objects with only required properties."""
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
