"""What a tool may do, and whether a human is asked before it does.

A tool says what it is in its LangChain `metadata`: `risk` (read, write, execute, spend), `effect` (none, idempotent,
once) and `trust` of what it returns (trusted, untrusted). What a tool does not say is taken for the worse: it may
write, its effect must not be repeated, and its output comes from outside.
"""

from typing import Literal, TypeVar

from langchain_core.tools import BaseTool

Risk = Literal["read", "write", "execute", "spend"]
Effect = Literal["none", "idempotent", "once"]
Trust = Literal["trusted", "untrusted"]
ToolT = TypeVar("ToolT", bound=BaseTool)


def declare(tool: ToolT, *, risk: Risk = "read", effect: Effect = "none", trust: Trust = "trusted") -> ToolT:
    """Says of a tool what it does; returns the same tool.

    Args:
        tool: Any LangChain tool.
        risk: The worst that a call can do.
        effect: Whether a call changes the world outside, and whether repeating it changes it again.
        trust: Whether its output may be taken for true.
    """
    tool.metadata = {**(tool.metadata or {}), "risk": risk, "effect": effect, "trust": trust}
    return tool


def risk_of(tool: BaseTool) -> str:
    """The tool's declared risk; `write` when it says nothing."""
    return str((tool.metadata or {}).get("risk", "write"))


def effect_of(tool: BaseTool) -> str:
    """The tool's declared effect; `once` when it says nothing, `none` for a tool that only reads."""
    return str((tool.metadata or {}).get("effect", "none" if risk_of(tool) == "read" else "once"))


def is_trusted(tool: BaseTool) -> bool:
    """Whether the tool's output may be taken for true."""
    return str((tool.metadata or {}).get("trust", "untrusted")) == "trusted"


def asks_first(tool: BaseTool) -> bool:
    """Whether a human must allow each call of this tool: all that does more than read."""
    return risk_of(tool) != "read"
