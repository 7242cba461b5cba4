"""What a tool declares about itself: its risk, effect and trust."""

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
    """Says of a tool what it does; returns the same tool.

    Args:
        tool: Any LangChain tool.
        risk: The worst that a call can do.
        effect: Whether a call changes the world outside, and whether repeating it changes it again.
        trust: Whether its output may be taken for true.
        contained: Whether what it changes stays inside the thread's own workspace.
        time_limit_s: Seconds after which a call is given up; None for two minutes.
        output_limit: Characters of a result that a worker is shown at most; the rest can be read on by its key.
    """
    said: dict[str, Any] = {"risk": risk, "effect": effect, "trust": trust}
    if contained:
        said["contained"] = True
    if time_limit_s is not None:
        said["time_limit_s"] = time_limit_s
    if output_limit is not None:
        said["output_limit"] = output_limit
    tool.metadata = {**(tool.metadata or {}), **said}
    return tool


def _said(tool: BaseTool, name: str, otherwise: Any) -> Any:
    return (tool.metadata or {}).get(name, otherwise)


def risk_of(tool: BaseTool) -> Risk:
    """The tool's declared risk; `write` when it says nothing."""
    return cast(Risk, str(_said(tool, "risk", "write")))


def says_its_risk(tool: BaseTool) -> bool:
    """Whether the tool has declared a risk."""
    return _said(tool, "risk", None) is not None


def effect_of(tool: BaseTool) -> Effect:
    """The tool's declared effect; `once` when it says nothing, `none` for a tool that only reads."""
    return cast(Effect, str(_said(tool, "effect", "none" if risk_of(tool) == "read" else "once")))


def is_trusted(tool: BaseTool) -> bool:
    """Whether the tool's output may be taken for true."""
    return str(_said(tool, "trust", "untrusted")) == "trusted"


def is_contained(tool: BaseTool) -> bool:
    """Whether what the tool changes stays inside the thread's workspace."""
    return _said(tool, "contained", False) is True


def sent_by(tool: BaseTool, args: Mapping[str, Any]) -> str:
    """What a call would send out of the machine; empty for a tool that sends nothing."""
    return str(args.get(str(_said(tool, "sends", "")), ""))


def time_limit_of(tool: BaseTool) -> float:
    """Seconds after which a call of the tool is given up."""
    return float(_said(tool, "time_limit_s", TIME_LIMIT_S))


def output_limit_of(tool: BaseTool) -> int:
    """Characters of one result that a worker is shown at most."""
    return int(_said(tool, "output_limit", OUTPUT_LIMIT))
