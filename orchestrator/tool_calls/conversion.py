"""The tools of a worker, from the tools and functions that a user gives it."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.tools import BaseTool
from langchain_core.tools import tool as as_tool

from orchestrator.errors import ConfigError
from orchestrator.validation import described, expect_list

Tool = BaseTool | Callable[..., Any]


def tools_from(worker: str, tools: Sequence[Tool]) -> tuple[BaseTool, ...]:
    """Return the tools of a worker; a plain function becomes a tool with its docstring as description.

    Args:
        worker: The worker's name.
        tools: LangChain tools and functions.

    Raises:
        ConfigError: One of them is no tool and cannot be made one, or two have the same name.
    """
    expect_list(tools, f"tools of worker '{worker}'", "tools=[search]")
    made = tuple(_tool_from(worker, tool) for tool in tools)
    names = [tool.name for tool in made]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"worker '{worker}' has two tools with the name '{twice[0]}'")
    return made


def _tool_from(worker: str, tool: object) -> BaseTool:
    made = _made_from(worker, tool)
    # LangGraph 1.2 overwrites the argument of a parameter of this name, whatever its type.
    if not isinstance(made.args_schema, dict) and "runtime" in made.args:
        raise ConfigError(
            f"worker '{worker}' cannot use '{made.name}' as a tool: a parameter called 'runtime' gets LangChain's "
            "ToolRuntime; call the parameter something else, or give it that type"
        )
    return made


def _made_from(worker: str, tool: object) -> BaseTool:
    if isinstance(tool, BaseTool):
        return tool
    if not callable(tool) or isinstance(tool, type):
        raise ConfigError(
            f"worker '{worker}' cannot use {described(tool)} as a tool; a tool is a LangChain tool, or a function with "
            "types and a docstring"
        )
    name = getattr(tool, "__name__", type(tool).__name__)
    if not inspect.getdoc(tool):
        raise ConfigError(
            f"worker '{worker}' cannot use '{name}' as a tool: it needs a docstring that says what it does"
        )
    try:
        return as_tool(tool)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"worker '{worker}' cannot use '{name}' as a tool: {reason}") from error
