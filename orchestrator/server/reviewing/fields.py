"""Fields: a form for an object of a JSON schema, a field for each of its values, and the object that was typed.

Texts, numbers, truths and choices have fields of their own. Everything else is typed as JSON.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.control_characters import visible, visible_json
from orchestrator.errors import ConfigError
from orchestrator.planning.output_schema import OutputSchema

PREFIX = "arg:"
"""Begins the names of these fields in a form."""

_LONG_CHARS = 80
_MOST_CHARS = 50_000  # a browser is slow with more in a field
_PLAIN = {"string": "text", "integer": "integer", "number": "number", "boolean": "truth"}
_NUMBERS = {"integer": "a whole number, as in 12", "number": "a number, as in 1.5"}


@dataclass(frozen=True)
class Field:
    """One field of a form.

    Args:
        label: The name of the value.
        kind: `text`, `long`, `integer`, `number`, `truth`, `choice` or `json`; `kept` for what is too long for a form.
        typed: The value as it is typed.
        help: What the schema says of it.
        choices: The values to choose from, as they are typed.
        is_required: The object needs the value.
        may_be_null: Nothing typed means null.
        is_given: The object has the value so far. Another one that is left empty is left out.
    """

    label: str
    kind: str
    typed: str
    help: str = ""
    choices: tuple[str, ...] = ()
    is_required: bool = False
    may_be_null: bool = False
    is_given: bool = False

    @property
    def name(self) -> str:
        """The name in the form."""
        return PREFIX + self.label

    @property
    def rows(self) -> int:
        """The lines that show the text without scrolling, as far as there is room for them."""
        return min(24, max(3, self.typed.count("\n") + len(self.typed) // _LONG_CHARS + 1))


def fields_of(
    schema: Mapping[str, Any], values: Mapping[str, Any], typed: Mapping[str, str] | None = None
) -> list[Field]:
    """Return the fields of an object.

    Args:
        schema: The JSON schema of the object.
        values: The object so far.
        typed: What a person has typed, by the names in the form; it goes before the object.
    """
    properties = schema.get("properties")
    known = properties if isinstance(properties, Mapping) else {}
    required = schema.get("required") or ()
    fields = []
    for label in dict.fromkeys([*known, *values]):
        part = known.get(label)
        field = _field(label, part if isinstance(part, Mapping) else {}, values, is_required=label in required)
        again = (typed or {}).get(field.name)
        fields.append(field if again is None or field.kind == "kept" else Field(**{**field.__dict__, "typed": again}))
    return fields


def _field(label: str, schema: Mapping[str, Any], values: Mapping[str, Any], *, is_required: bool) -> Field:
    is_given = label in values
    value = values.get(label, schema.get("default"))
    branches = schema.get("anyOf") or schema.get("oneOf")
    may_be_null = False
    if isinstance(branches, list) and all(isinstance(each, Mapping) for each in branches):
        # pydantic writes `str | None` as a union with null.
        others = [each for each in branches if each.get("type") != "null"]
        may_be_null = len(others) < len(branches)
        if len(others) == 1:
            schema = {**schema, **others[0]}
    types = schema.get("type")
    if isinstance(types, list):
        may_be_null |= "null" in types
        left = [each for each in types if each != "null"]
        types = left[0] if len(left) == 1 else None
    choices = schema.get("enum")
    # Choices that are no texts would all come back as texts. They are typed as JSON.
    if isinstance(choices, list) and choices and all(isinstance(each, str) for each in choices):
        kind, options = "choice", tuple(choices)
    else:
        kind, options = _PLAIN.get(str(types), "json"), ()
    if not types and not options and isinstance(value, str):
        kind = "text"  # without a schema, a text stays one
    kind = kind if _is_of(kind, value, options, is_given=is_given, may_be_null=may_be_null) else "json"
    typed = _typed(kind, value, is_given=is_given)
    if kind == "text" and ("\n" in typed or len(typed) > _LONG_CHARS or label in ("body", "content", "code", "text")):
        kind = "long"
    if len(typed) > _MOST_CHARS:
        kind, typed = "kept", f"{len(typed):,} characters, which stay as they are"
    told = schema.get("description")
    return Field(label, kind, typed, told if isinstance(told, str) else "", options, is_required, may_be_null, is_given)


def _is_of(kind: str, value: Any, choices: tuple[str, ...], *, is_given: bool, may_be_null: bool) -> bool:
    """True if a field of this kind can show a value, and give it back as it is."""
    if value is None:
        # Left empty, a field means null only where the schema takes null.
        return not is_given or may_be_null
    match kind:
        case "choice":
            return value in choices
        case "text":
            # A page shows signs in the place of control characters, and would send the signs back.
            return isinstance(value, str) and visible(value) == value and not (value == "" and may_be_null)
        case "truth":
            return isinstance(value, bool)
        case "integer" | "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
    return True


def _typed(kind: str, value: Any, *, is_given: bool) -> str:
    if value is None and (kind != "json" or not is_given):
        return ""
    if kind in ("text", "choice"):
        return str(value)
    return visible_json(value, indent=2) if kind == "json" else json.dumps(value)


def object_of(schema: Mapping[str, Any], values: Mapping[str, Any], typed: Mapping[str, str]) -> dict[str, Any]:
    """Return the object that a form means.

    Args:
        schema: The JSON schema of the object.
        values: The object before.
        typed: What was typed, by the names in the form.

    Raises:
        ConfigError: A field holds what it must not hold. Every such field is named.
    """
    new: dict[str, Any] = {}
    problems: list[str] = []
    for field in fields_of(schema, values, typed):
        if field.kind == "kept":
            new[field.label] = values[field.label]
            continue
        try:
            new |= dict(_values(field, typed.get(field.name, "")))
        except ValueError as error:
            problems.append(f"'{field.label}' {error}")
    if problems:
        raise ConfigError("; ".join(problems))
    if wrong := OutputSchema(dict(schema)).problems(new) if schema.get("properties") else []:
        raise ConfigError("; ".join(wrong))
    return new


def _values(field: Field, text: str) -> Iterator[tuple[str, Any]]:
    """Yield the value of a field under its name, or nothing where it is left out.

    Raises:
        ValueError: The field does not take the text.
    """
    # A browser sends line ends as CRLF, whatever the text had.
    text = text.replace("\r\n", "\n")
    stripped = text.strip()
    if not stripped and field.kind not in ("text", "long"):
        if field.may_be_null and (field.is_given or field.is_required):
            yield field.label, None
        elif field.is_required or (field.is_given and field.kind != "json"):
            raise ValueError("is empty")
        return
    if not text and field.may_be_null:
        if field.is_given or field.is_required:
            yield field.label, None
        return
    if not text and not field.is_given and not field.is_required:
        return
    match field.kind:
        case "integer" | "number":
            yield field.label, _number(field.kind, stripped)
        case "truth":
            yield field.label, stripped == "true"
        case "json":
            yield field.label, _json(stripped)
        case _:
            yield field.label, text


def _number(kind: str, text: str) -> int | float:
    try:
        return int(text) if kind == "integer" or text.lstrip("-").isdigit() else float(text)
    except ValueError:
        raise ValueError(f"has to be {_NUMBERS[kind]}") from None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"is no JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
