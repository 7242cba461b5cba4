"""Wrong arguments from a user's program, refused at once in one line that says what to do instead."""

import inspect
from collections.abc import Collection
from typing import Any, ClassVar

from pydantic import BaseModel, ValidationError

from orchestrator.errors import ConfigError, OrchestratorError, PlanError
from orchestrator.text import shorten

_MOST_SHOWN = 60


class Checked(BaseModel):
    """Base of the values that users construct: a wrong field raises one line, not pydantic's report.

    `model_validate` still raises pydantic's `ValidationError`: code that reads data words its own errors.
    """

    _error: ClassVar[type[OrchestratorError]] = ConfigError

    def __init__(self, /, *args: Any, **data: Any) -> None:
        if args:
            fields = ", ".join(f"{name}=…" for name in type(self).model_fields)
            raise ConfigError(f"{type(self).__name__} takes its fields by name: {fields}")
        try:
            self.__pydantic_validator__.validate_python(data, self_instance=self)
        except ValidationError as error:
            raise self._refusal([problem_of(type(self), problem) for problem in error.errors()]) from None

    # Pydantic 2 calls `__init__` of a subclass in `model_validate`, unless it bears this mark.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def _refusal(cls, problems: list[str]) -> OrchestratorError:
        message = f"{cls.__name__}: {'; '.join(problems)}"
        return PlanError([message]) if cls._error is PlanError else cls._error(message)


def problem_of(model: type[BaseModel], problem: Any) -> str:
    """Put one of pydantic's errors into words.

    Args:
        model: The class that was constructed.
        problem: An item of `ValidationError.errors()`.
    """
    name = ".".join(str(part) for part in problem["loc"] if "[" not in str(part))  # without branches of unions
    if problem["type"] == "missing":
        return f"'{name}' is missing"
    if problem["type"] == "extra_forbidden" and len(problem["loc"]) == 1:
        return f"there is no '{name}', use {', '.join(model.model_fields)}"
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{name} {message}, not {_shortened(problem['input'])}"


def expect(kind: type | tuple[type, ...], value: object, name: str, example: str) -> None:
    """Refuse an argument of another type.

    Args:
        kind: The type that it has to have.
        value: The argument.
        name: What the argument is called.
        example: What it has to be, in words.

    Raises:
        ConfigError: It has another type.
    """
    if not isinstance(value, kind):
        raise ConfigError(f"{name} has to be {example}, not {described(value)}")


def expect_list(value: object, name: str, example: str) -> None:
    """Refuse an argument that is not a list of things, such as the one thing itself.

    Raises:
        ConfigError: It is no list, tuple or other collection, or it is a text.
    """
    if isinstance(value, (str, bytes, BaseModel)) or not isinstance(value, Collection):
        raise ConfigError(f"{name} has to be a list, as in {example}, not {described(value)}")


def described(value: object) -> str:
    """Name a wrong argument, and say what was probably forgotten."""
    if isinstance(value, type):
        return f"the class {value.__name__}: make one, as in {value.__name__}(…)"
    if inspect.isroutine(value):
        name = getattr(value, "__name__", "it")
        return f"the function {name}: call it, as in {name}(…)"
    kind = type(value).__name__
    article = "an" if kind[:1].lower() in "aeiou" else "a"
    return f"{article} {kind} ({_shortened(value)})" if isinstance(value, (str, int, float)) else f"{article} {kind}"


def _shortened(value: object) -> str:
    return shorten(repr(value), _MOST_SHOWN)
