"""Forms of a guest: its input and its answer, as graphs and functions have them."""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.runnables import Runnable
from pydantic import BaseModel

from orchestrator.errors import ConfigError
from orchestrator.memory.entry import Entry
from orchestrator.planning.sub_task import SubTask

_CONFIG = "config"  # LangChain fills a parameter of this name in

Input = Callable[[str, SubTask, tuple[Entry, ...]], Any]
"""Makes the input from the task message, the sub-task and the results that it depends on."""


def input_of(name: str, function: Callable[..., Any]) -> Input:
    """Return a function of the user's as one of all that there is to know.

    Args:
        name: The worker's name.
        function: Takes the task message, or the sub-task and the results that it depends on.

    Raises:
        ConfigError: It takes anything else.
    """
    count = parameter_count(name, function)
    if count == 1:
        return lambda text, sub_task, results: function(text)
    return lambda text, sub_task, results: function(sub_task, results)


def parameter_count(name: str, function: Callable[..., Any]) -> int:
    """Return the number of values that a function takes: 1 for a text, 2 for sub-task and context.

    Raises:
        ConfigError: It takes neither.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a function of C without a signature takes one argument as a rule
        return 1
    given = [each for each in parameters if each.name != _CONFIG and each.kind is not each.VAR_KEYWORD]
    needed = [each for each in given if each.default is each.empty and each.kind is not each.VAR_POSITIONAL]
    positional = [each for each in given if each.kind is not each.KEYWORD_ONLY]
    for count in (1, 2):
        if len(needed) == count and len([each for each in needed if each.kind is not each.KEYWORD_ONLY]) == count:
            return count
    if not needed and positional:
        return 1
    raise ConfigError(f"the function of worker '{name}' has to take (text), or (sub_task, context)")


def messages_input(text: str) -> dict[str, Any]:
    """Return the input of a graph with messages."""
    return {"messages": [HumanMessage(text)]}


def output_text(value: Any) -> str:
    """Return what a guest answered as a text; data becomes JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, BaseMessage):
        return value.text
    if isinstance(value, Mapping) and value.get("structured_response") is not None:  # of `create_agent`
        return output_text(value["structured_response"])
    if isinstance(value, Mapping) and isinstance(value.get("messages"), Sequence) and value["messages"]:
        return output_text(value["messages"][-1])
    if isinstance(value, list | tuple) and value and all(isinstance(each, BaseMessage) for each in value):
        return output_text(value[-1])
    if isinstance(value, Mapping) and len(value) == 1 and isinstance(only := next(iter(value.values())), str):
        return only
    # A remote graph's messages are plain dicts.
    if isinstance(value, Mapping) and {"type", "content"} <= value.keys():
        return _content_text(value["content"])
    return json.dumps(_plain(value), ensure_ascii=False, indent=1, default=_plain)


def _content_text(content: Any) -> str:
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    return "\n".join(str(block.get("text", "")) for block in blocks if isinstance(block, Mapping) and "text" in block)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value if isinstance(value, Mapping | list | tuple | int | float | bool) else str(value)


def own_name(thing: Any) -> str:
    """Return the name that a thing of the user's has itself, as far as a worker can have it."""
    name = getattr(thing, "__name__", None) or getattr(thing, "name", None) or ""
    # LangGraph calls each graph so that was given no name, and Python each lambda.
    return "" if name in ("LangGraph", "<lambda>") or not str(name).isidentifier() else str(name)


def own_description(thing: Any) -> str:
    """Return the first line of the docstring of a function."""
    documented = inspect.isroutine(thing) or not isinstance(thing, Runnable)
    lines = (inspect.getdoc(thing) or "").strip().splitlines() if documented else []
    return lines[0].rstrip(".") if lines else ""
