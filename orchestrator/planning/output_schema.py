"""OutputSchema: the JSON schema that an answer or a result must have.

A model is asked for the data inside an envelope. In it the model can say that it does not know what the schema demands,
so that it need not invent anything. The envelope is an object, since endpoints take no other schema.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FunctionType, MethodType
from typing import Any

from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter

from orchestrator.errors import ConfigError, PlanError
from orchestrator.text import shorten

TITLE = "Answer"
_ROOT_WORDS = ("$schema", "$id", "$defs", "definitions")
_MOST_PROBLEMS = 8
_MOST_CHARS = 200


class UnknownOutputError(PlanError):
    """The results do not say what the schema demands. Asking again would only make a model invent it."""


@dataclass(frozen=True)
class TypedValue:
    """Data of a schema.

    Args:
        value: The data, JSON-plain.
        references: Ids of the results that the model took it from, as the model named them.
    """

    value: Any
    references: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The data as JSON text."""
        return json.dumps(self.value, ensure_ascii=False, indent=2)


@dataclass(frozen=True)
class OutputSchema:
    """A JSON schema.

    Args:
        schema: The schema.
        check: Returns what else is wrong with data that fits the schema, such as what a validator of a type says.
    """

    schema: Mapping[str, Any]
    check: Callable[[Any], list[str]] = field(default=lambda _: [], compare=False)

    @classmethod
    def parse(cls, schema: object, name: str = "the output schema") -> "OutputSchema":
        """Return a schema if it is one.

        Raises:
            ConfigError: It is no JSON schema.
        """
        from jsonschema import SchemaError
        from jsonschema.validators import validator_for

        if not isinstance(schema, Mapping):
            raise ConfigError(f"{name} has to be a JSON schema: an object, as in {{'type': 'object', 'properties': …}}")
        try:
            json.dumps(schema)
            validator_for(schema).check_schema(schema)
        except SchemaError as error:
            raise ConfigError(f"{name} is no JSON schema: {shorten(error.message, _MOST_CHARS)}") from None
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigError(f"{name} is no JSON: {error}") from None
        return cls(schema)

    def problems(self, value: Any) -> list[str]:
        """Return what is wrong with some data, a sentence for each place; nothing if it fits."""
        from jsonschema.exceptions import best_match
        from jsonschema.validators import validator_for
        from referencing.exceptions import Unresolvable

        validator = validator_for(self.schema)(self.schema)
        try:
            errors = sorted(validator.iter_errors(value), key=lambda error: list(map(str, error.absolute_path)))
        except Unresolvable as lost:
            raise ConfigError(f"the output schema refers to what it does not hold: {lost}") from None
        sentences = []
        for error in errors[:_MOST_PROBLEMS]:
            deepest = best_match([error]) or error  # of a union, the branch that comes closest
            place = ".".join(map(str, deepest.absolute_path))
            sentences.append(f"{place or 'the answer'}: {shorten(deepest.message, _MOST_CHARS)}")
        return sentences or self.check(value)

    def text_problems(self, text: str) -> list[str]:
        """Return what is wrong with a text that has to be JSON of the schema; nothing if it fits."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            return [f"it has to be JSON of its schema: {error}"]
        return self.problems(value)

    def envelope(self, ids: Sequence[str]) -> dict[str, Any]:
        """Return the schema that a model is asked for.

        Args:
            ids: Ids of the results that the data may come from.
        """
        inner = {name: part for name, part in self.schema.items() if name not in _ROOT_WORDS}
        text = {"type": "string"}
        properties = {
            # First: a model writes properties in this order, and finds out what is missing before it fills them in.
            "missing": {"type": "array", "items": text},
            "references": {"type": "array", "items": {"type": "string", "enum": list(ids)} if ids else text},
            "answer": {"anyOf": [inner, {"type": "null"}]},
        }
        # References start from the root of a schema, so definitions stay there.
        definitions = {name: self.schema[name] for name in ("$defs", "definitions") if name in self.schema}
        return {
            "title": TITLE,
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
            **definitions,
        }

    def read(self, answer: Any) -> TypedValue:
        """Read the envelope that a model filled in.

        Raises:
            PlanError: It is none, or the data in it does not fit.
            UnknownOutputError: The model says that it does not know what the schema demands.
        """
        if not isinstance(answer, dict) or "answer" not in answer:
            raise PlanError(["the answer has to be an object with missing, references and answer"])
        value = answer["answer"]
        missing = [part for part in _texts(answer.get("missing")) if part.strip()]
        if missing and isinstance(value, dict):
            invented = [name for name in missing if value.get(name) is not None]
            if invented:
                raise PlanError(
                    [f"missing names '{name}', and the answer has a value for it: null only" for name in invented]
                )
        problems = self.problems(value)
        if problems and value is None and missing:
            raise UnknownOutputError([f"nothing says this: {', '.join(missing)}"])
        if problems and value is None:
            problems = ["answer is null: fill it in, or name in missing what is not known"]
        if problems:
            raise PlanError(problems)
        return TypedValue(value, tuple(_texts(answer.get("references"))))


def _texts(value: object) -> list[str]:
    return [part for part in value if isinstance(part, str)] if isinstance(value, list) else []


def schema_of(kind: Any, name: str) -> dict[str, Any]:
    """Return the JSON schema of a type, or the schema itself.

    Args:
        kind: A type that pydantic's `TypeAdapter` takes, or a JSON schema as a dict.
        name: Name of the argument.

    Raises:
        ConfigError: It has no JSON schema, or is none.
    """
    if not isinstance(kind, Mapping):
        kind = adapter_of(kind, name).json_schema()
    return dict(OutputSchema.parse(kind, name).schema)


def adapter_of(kind: Any, name: str) -> TypeAdapter[Any]:
    """Return pydantic's adapter of a type that has a JSON schema.

    Raises:
        ConfigError: It has none.
    """
    try:
        if isinstance(kind, FunctionType | MethodType):  # pydantic would take it for the schema of its arguments
            raise TypeError("it is a function")
        adapter = TypeAdapter(kind)
        adapter.json_schema()
    except (PydanticSchemaGenerationError, PydanticUserError, TypeError, NameError) as error:
        raise ConfigError(
            f"{name} {kind!r} has no JSON schema: use a pydantic model, a dataclass, a TypedDict, list[…], "
            f"Literal[…], int or a JSON schema ({str(error).splitlines()[0]})"
        ) from None
    return adapter
