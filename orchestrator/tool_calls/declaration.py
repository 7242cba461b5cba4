"""Declarations of tools: risk, effect, trust, and limits, kept in the `metadata` of a LangChain tool.

- `risk`: `read`, `write`, `execute` or `spend`.
- `effect`: `none`, `idempotent` or `once`.
- `trust` of the output: `trusted` or `untrusted`.
- `contained`: the effect stays inside the thread's workspace.
- `sends`: name of the argument that leaves the machine, such as an address.
- `time_limit_s` for one call, and `output_limit` in characters.

Undeclared properties default to the unsafe value.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeVar, cast

from langchain_core.tools import BaseTool

Risk = Literal["read", "write", "execute", "spend"]
Effect = Literal["none", "idempotent", "once"]
Trust = Literal["trusted", "untrusted"]

ToolT = TypeVar("ToolT", bound=BaseTool)

TIME_LIMIT_S = 120.0
OUTPUT_LIMIT = 200_000


def declare(
    tool: ToolT,
    *,
    risk: Risk = "read",
    effect: Effect = "none",
    trust: Trust = "trusted",
    contained: bool = False,
    time_limit_s: float | None = None,
    output_limit: int | None = None,
) -> ToolT:
    """Declare properties of a tool; return the same tool.

    Args:
        tool: Any LangChain tool.
        risk: The worst that a call can do.
        effect: The change that a call makes outside: `none`; `idempotent`, if repeating the call changes nothing more;
            or `once`, if the call must not be repeated.
        trust: `trusted` if the output may be relied on.
        contained: The effect stays inside the thread's own workspace.
        time_limit_s: Seconds after which a call is given up; None for two minutes.
        output_limit: Most characters of a result that a worker is shown; it can read on by the result's key.
    """
    metadata: dict[str, Any] = {"risk": risk, "effect": effect, "trust": trust}
    if contained:
        metadata["contained"] = True
    if time_limit_s is not None:
        metadata["time_limit_s"] = time_limit_s
    if output_limit is not None:
        metadata["output_limit"] = output_limit
    tool.metadata = {**(tool.metadata or {}), **metadata}
    return tool


def _declared(tool: BaseTool, name: str, otherwise: Any) -> Any:
    return (tool.metadata or {}).get(name, otherwise)


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


def time_limit_of(tool: BaseTool) -> float:
    """Return the seconds after which a call of the tool is given up."""
    return float(_declared(tool, "time_limit_s", TIME_LIMIT_S))


def output_limit_of(tool: BaseTool) -> int:
    """Return the most characters of one result that a worker is shown."""
    return int(_declared(tool, "output_limit", OUTPUT_LIMIT))
