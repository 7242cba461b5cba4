"""Forms of the schema of an answer: strict, plain, as JSON of any schema, and in words."""

from collections.abc import Mapping
from typing import Any

from orchestrator.models.json_answers import inlined, schema_prompt
from orchestrator.models.requests.form import Body, Form, joined, without, words

_ANY = r"response_?format|json_?schema|json_object|json.?(mode|output)|schema|structured|grammar"
_KEYWORDS = ("type", "description", "properties", "required", "items", "enum", "anyOf")


def wanted_schema(body: Body) -> dict[str, Any] | None:
    """Return the schema that a request asks for; None without one."""
    wanted = body.get("response_format")
    if isinstance(wanted, dict) and wanted.get("type") == "json_schema":
        schema: dict[str, Any] = wanted["json_schema"].get("schema") or {}
        return schema
    return None


def told(body: Body, text: str) -> Body:
    """Return a request with more text in its system message."""
    added = {"role": "system", "content": text}
    first, *rest = body["messages"] or [added]
    if first["role"] != "system":
        return {**body, "messages": [added, first, *rest]}
    return {**body, "messages": [joined([first, added]), *rest]}


def also_in_words(body: Body) -> Body:
    """Return a request with its schema in the prompt too, for endpoints that take schemas and ignore them."""
    schema = wanted_schema(body)
    return body if schema is None else told(body, schema_prompt(schema))


def _plain(body: Body) -> Body:
    if wanted_schema(body) is None or "strict" not in (inner := body["response_format"]["json_schema"]):
        return body
    kept = {name: value for name, value in inner.items() if name != "strict"}
    return {**body, "response_format": {"type": "json_schema", "json_schema": kept}}


def _simple(body: Body) -> Body:
    if (schema := wanted_schema(body)) is None or (simple := simple_schema(schema)) == schema:
        return body
    inner = {**body["response_format"]["json_schema"], "schema": simple}
    inner.pop("strict", None)  # the rules for strict schemas need the keywords
    return {**body, "response_format": {"type": "json_schema", "json_schema": inner}}


def _object(body: Body) -> Body:
    if (schema := wanted_schema(body)) is None:
        return body
    return {**told(body, schema_prompt(schema)), "response_format": {"type": "json_object"}}


def _in_words(body: Body) -> Body:
    if (schema := wanted_schema(body)) is not None:
        return without(told(body, schema_prompt(schema)), "response_format")
    return without(body, "response_format")


def simple_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema in the few keywords that every endpoint knows. What it allows stays allowed."""
    simple: dict[str, Any] = _simplified(inlined(schema))
    if simple.get("type") == "object":
        simple.setdefault("properties", {})
    return simple


def _simplified(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return {}  # true and false are schemas too
    kept: dict[str, Any] = {name: schema[name] for name in _KEYWORDS if name in schema}
    if "const" in schema:
        kept["enum"] = [schema["const"]]
    if isinstance(kept.get("type"), list):
        kept["type"] = next((kind for kind in kept["type"] if kind != "null"), "string")
    if "properties" in kept:
        kept["properties"] = {name: _simplified(part) for name, part in (kept["properties"] or {}).items()}
    if "items" in kept:
        kept["items"] = _simplified(kept["items"])
    if alternatives := schema.get("anyOf") or schema.get("oneOf"):
        parts = [_simplified(part) for part in alternatives if part != {"type": "null"}]
        kept.pop("anyOf", None)
        kept = {**parts[0], **kept} if len(parts) == 1 else {**kept, "anyOf": parts}
    return kept


SCHEMA_PLAIN = Form("schema_plain", _plain, words(r"\bstrict\b", _ANY))
SCHEMA_SIMPLE = Form("schema_simple", _simple, words(_ANY, r"additionalProperties|keyword|\$ref|pattern"))
_NOT = r"(not (be )?(supported|available|allowed)|un(supported|available)|invalid)"
SCHEMA_OBJECT = Form(
    "schema_object",
    _object,
    words(_ANY),
    words(
        rf"response_?format.{{0,20}}type.{{0,40}}{_NOT}|json_?schema.{{0,40}}{_NOT}",
        r"(not|n.t) support.{0,40}json_?schema",
        r"must be.{0,30}json_object",
    ),
    is_costly=True,
)
SCHEMA_WORDS = Form(
    "schema_words",
    _in_words,
    words(_ANY),
    words(
        rf"json.?(mode|output|object).{{0,60}}{_NOT}|(not|n.t) support.{{0,30}}json.?(mode|output|object)",
        rf"response_?format\W{{0,3}}(is |parameter is )?{_NOT}",
        r"(unknown|unrecognized|unsupported|unexpected).{0,40}response_?format",
    ),
    is_costly=True,
)
