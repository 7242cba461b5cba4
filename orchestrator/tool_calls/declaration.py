"""Declarations of tools: risk, effect, trust, and limits, kept in the `metadata` of a LangChain tool.

- `risk`: `read`, `write`, `execute` or `spend`.
- `effect`: `none`, `idempotent` or `once`.
- `trust` of the output: `trusted` or `untrusted`.
- `contained`: the effect stays inside the thread's workspace.
- `sends`: name of the argument that leaves the machine, such as an address.
- `time_limit_s` for one call, and `output_limit` in characters.

Undeclared properties default to the unsafe value.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, TypeVar, cast, get_args, overload

from langchain_core.tools import BaseTool

from orchestrator.errors import ConfigError
from orchestrator.validation import described

Risk = Literal["read", "write", "execute", "spend"]
Effect = Literal["none", "idempotent", "once"]
Trust = Literal["trusted", "untrusted"]

ToolT = TypeVar("ToolT", bound=BaseTool | Callable[..., Any])

TIME_LIMIT_S = 120.0
OUTPUT_LIMIT = 200_000
_MOST_SCHEMA = 8_000


_FIELD = "__declared__"
_ALLOWED = {"risk": get_args(Risk), "effect": get_args(Effect), "trust": get_args(Trust)}


@overload
def declare(
    tool: ToolT,
    *,
    risk: Risk = ...,
    effect: Effect = ...,
    trust: Trust = ...,
    contained: bool = ...,
    time_limit_s: float | None = ...,
    output_limit: int | None = ...,
) -> ToolT: ...


@overload
def declare(
    *,
    risk: Risk = ...,
    effect: Effect = ...,
    trust: Trust = ...,
    contained: bool = ...,
    time_limit_s: float | None = ...,
    output_limit: int | None = ...,
) -> Callable[[ToolT], ToolT]: ...


def declare(
    tool: Any = None,
    *,
    risk: Risk = "read",
    effect: Effect | None = None,
    trust: Trust = "trusted",
    contained: bool = False,
    time_limit_s: float | None = None,
    output_limit: int | None = None,
) -> Any:
    """Declare properties of a tool; return the same tool, or without a tool a decorator.

    `@declare(risk="write")` stands above `@tool` or below, or above a plain function that is given to a worker.

    Args:
        tool: A LangChain tool, or a function.
        risk: The worst that a call can do.
        effect: The change that a call makes outside: `none`; `idempotent`, if repeating the call changes nothing more;
            or `once`, if the call must not be repeated. Undeclared, it is `none` with `risk="read"`, and else `once`.
        trust: `trusted` if the output may be relied on.
        contained: The effect stays inside the thread's own workspace.
        time_limit_s: Seconds after which a call is given up; None for two minutes.
        output_limit: Most characters of a result that a worker is shown; it can read on by the result's key.

    Raises:
        ConfigError: A value is not allowed, or `tool` is neither a tool nor a function.
    """
    fields: dict[str, Any] = {"risk": risk, "trust": trust}
    if effect is not None:  # undeclared, `effect_of` takes the safe one for the risk
        fields["effect"] = effect
    for name, allowed in _ALLOWED.items():
        if name in fields and fields[name] not in allowed:
            raise ConfigError(f"{name}={fields[name]!r} cannot be declared: use {' or '.join(map(repr, allowed))}")
    for name, limit in (("time_limit_s", time_limit_s), ("output_limit", output_limit)):
        if limit is not None and not (isinstance(limit, (int, float)) and limit > 0):
            raise ConfigError(f"{name}={limit!r} cannot be declared: use a number over 0")
    if contained:
        fields["contained"] = True
    if time_limit_s is not None:
        fields["time_limit_s"] = time_limit_s
    if output_limit is not None:
        fields["output_limit"] = output_limit
    return partial(_put, fields=fields) if tool is None else _put(tool, fields)


def _put(tool: Any, fields: Mapping[str, Any]) -> Any:
    """Write a declaration on a tool, or on a function from which a tool will be made."""
    if isinstance(tool, BaseTool):
        tool.metadata = {**(tool.metadata or {}), **fields}
        return tool
    if isinstance(tool, type) or not callable(tool):
        raise ConfigError(f"declare takes a tool or a function, not {described(tool)}")
    try:
        # A bound method takes no attributes. Its function does.
        setattr(getattr(tool, "__func__", tool), _FIELD, dict(fields))
    except AttributeError:
        raise ConfigError(f"declare cannot mark {described(tool)}: make a tool of it first, with @tool") from None
    return tool


def declaration_of(tool: BaseTool) -> dict[str, Any]:
    """Return the tool's metadata, with what is declared on the function that the tool was made of."""
    return {**_of_function(tool), **(tool.metadata or {})}


def _declared(tool: BaseTool, name: str, otherwise: Any) -> Any:
    metadata = tool.metadata or {}
    return metadata[name] if name in metadata else _of_function(tool).get(name, otherwise)


def _of_function(tool: BaseTool) -> Mapping[str, Any]:
    fields = vars(tool)  # pydantic takes 2.5 µs to find out that an attribute is missing
    declared: Mapping[str, Any] = getattr(fields.get("func") or fields.get("coroutine"), _FIELD, {})
    return declared


def risk_of(tool: BaseTool) -> Risk:
    """Return the tool's declared risk, or `write`."""
    return cast(Risk, str(_declared(tool, "risk", "write")))


def says_its_risk(tool: BaseTool) -> bool:
    """True if the tool has declared a risk."""
    return _declared(tool, "risk", None) is not None


def effect_of(tool: BaseTool) -> Effect:
    """Return the tool's declared effect, or `none` for a tool that only reads and `once` for any other."""
    return cast(Effect, str(_declared(tool, "effect", "none" if risk_of(tool) == "read" else "once")))


def is_trusted(tool: BaseTool) -> bool:
    """True if the tool's output may be relied on."""
    return str(_declared(tool, "trust", "untrusted")) == "trusted"


def is_contained(tool: BaseTool) -> bool:
    """True if the tool's effect stays inside the thread's workspace."""
    return _declared(tool, "contained", False) is True


def sent_by(tool: BaseTool, args: Mapping[str, Any]) -> str:
    """Return the text that a call would send out of the machine; empty for a tool that sends nothing."""
    return str(args.get(str(_declared(tool, "sends", "")), ""))


def args_schema_of(tool: BaseTool) -> dict[str, Any]:
    """Return the JSON schema of the arguments that a caller gives; of any object where it is too large for a review."""
    schema = cast(Any, tool.tool_call_schema)
    plain = schema if isinstance(schema, dict) else schema.model_json_schema()
    if len(json.dumps(plain, default=str)) > _MOST_SCHEMA:
        return {"type": "object"}
    return {name: part for name, part in plain.items() if name not in ("title", "description")}


def time_limit_of(tool: BaseTool) -> float:
    """Return the seconds after which a call of the tool is given up."""
    return float(_declared(tool, "time_limit_s", TIME_LIMIT_S))


def output_limit_of(tool: BaseTool) -> int:
    """Return the most characters of one result that a worker is shown."""
    return int(_declared(tool, "output_limit", OUTPUT_LIMIT))
