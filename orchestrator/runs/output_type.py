"""Output types: a caller's type as a JSON schema, and data of the schema as an instance of the type."""

import json
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from orchestrator.daemon_threads import as_exception
from orchestrator.errors import ConfigError, shape_problems
from orchestrator.planning.output_schema import OutputSchema, adapter_of


class OutputType:
    """A type that an answer must have: whatever pydantic's `TypeAdapter` takes, or a JSON schema.

    Args:
        kind: A pydantic model, dataclass, TypedDict, `list[…]`, `Literal[…]`, `int` and the like, or a JSON schema as
            a dict.

    Raises:
        ConfigError: It has no JSON schema.
    """

    def __init__(self, kind: Any) -> None:
        self._adapter: TypeAdapter[Any] | None = None
        if isinstance(kind, Mapping):
            self.schema = OutputSchema.parse(kind, "output_type")
            return
        self._adapter = adapter_of(kind, "output_type")
        schema = self._adapter.json_schema()
        self.schema = OutputSchema(OutputSchema.parse(schema, "output_type").schema, self._problems)

    @property
    def plain(self) -> dict[str, Any]:
        """The JSON schema, as a thread keeps it."""
        return dict(self.schema.schema)

    def _problems(self, value: Any) -> list[str]:
        """Return what the type's own validators say against data that fits the schema."""
        try:
            self.instance(value)
        except ValidationError as error:
            return shape_problems(error, "the answer")
        except BaseException as error:  # noqa: BLE001 - a user's validator must not end the event loop
            return [f"the type's own validator failed: {as_exception(error)!r}"]
        return []

    def instance(self, value: Any) -> Any:
        """Return plain data as an instance of the type; the data itself for a JSON schema.

        Raises:
            ValidationError: The data is not of the type.
        """
        # As JSON: in it a date is a text and a tuple is a list, which pydantic refuses from Python in strict models.
        return value if self._adapter is None else self._adapter.validate_json(json.dumps(value))

    def of(self, value: Any) -> Any:
        """Return plain data as an instance of the type, like `instance`.

        Raises:
            ConfigError: The data is not of the type.
        """
        try:
            problems = self.schema.problems(value)
            if not problems:
                return self.instance(value)
        except ValidationError as error:
            problems = shape_problems(error, "the output")
        raise ConfigError(f"the output of this run is not of that type: {'; '.join(problems)}")


def load_output_type(name: str) -> OutputType:
    """Load an output type.

    Args:
        name: The file of a JSON schema, or `module:Type`.

    Raises:
        ConfigError: There is no such file or type, or it is no schema.
    """
    path = Path(name)
    module_name, _, attribute = name.partition(":")
    if attribute and not path.exists() and all(part.isidentifier() for part in module_name.split(".")):
        here = str(Path.cwd())  # the folder that one is in holds the user's own modules
        if here not in sys.path:
            sys.path.insert(0, here)
        try:
            return OutputType(getattr(import_module(module_name), attribute))
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"no type '{name}': {error}") from error
    try:
        return OutputType(_object(json.loads(path.read_text(encoding="utf-8")), path))
    except OSError as error:
        raise ConfigError(f"cannot read the schema {path}: {error.strerror}; or name a type as module:Type") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not JSON: {error}") from error


def _object(schema: object, path: Path) -> Mapping[str, Any]:
    if not isinstance(schema, Mapping):
        raise ConfigError(f"{path} holds no JSON schema: a schema is an object")
    return schema
