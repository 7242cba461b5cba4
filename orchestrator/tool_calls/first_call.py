"""The first call: a tool that is called before a worker's model is asked, since every sub-task needs its answer.

A model without the names of a database's tables guesses them first, and a small one gives up after the error. With the
names at the start, one model call is saved. Policy, reviews, limits, trust and checkpoints hold as for any other call.
"""

from collections.abc import Sequence

from langchain_core.messages import AIMessage
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from orchestrator.errors import ConfigError
from orchestrator.messages import FIRST_CALL


def check_first_call(worker: str, tool: str, tools: Sequence[BaseTool]) -> None:
    """Check that a worker can begin with a tool.

    Raises:
        ConfigError: The worker has no such tool, or the tool cannot be called without arguments.
    """
    first = next((own for own in tools if own.name == tool), None)
    if first is None:
        raise ConfigError(f"worker '{worker}' is to begin with '{tool}', which is none of its tools")
    if required := convert_to_openai_tool(first)["function"]["parameters"].get("required"):
        raise ConfigError(f"worker '{worker}' cannot begin with '{tool}': it needs {', '.join(required)}")


def first_call(tool: str, key: str) -> AIMessage:
    """Return the message that calls a tool, as if the model had asked for it.

    Args:
        tool: The tool's name.
        key: The sub-task's key. A resumed attempt makes the same call, with the same id.
    """
    call = {"name": tool, "args": {}, "id": f"call_opening_{key}", "type": "tool_call"}
    return AIMessage("", tool_calls=[call], additional_kwargs={FIRST_CALL: True})
