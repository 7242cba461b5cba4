"""Opening: a tool whose answer a worker cannot do without is called before its model is asked for the first time.

A model asked about a database guesses at the names of tables first, and a small one gives up after the error. Told the
names at the start, it needs one call of the model less. The call goes the way of all others: policy, reviews, limits,
trust and the checkpoint are the same.
"""

from collections.abc import Sequence

from langchain_core.messages import AIMessage
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from orchestrator.errors import ConfigError
from orchestrator.messages import FIRST_CALL


def check_first_call(worker: str, tool: str, tools: Sequence[BaseTool]) -> None:
    """Makes sure that a worker can begin with this tool.

    Raises:
        ConfigError: It has no such tool, or one that cannot be called without arguments.
    """
    found = next((own for own in tools if own.name == tool), None)
    if found is None:
        raise ConfigError(f"worker '{worker}' is to begin with '{tool}', which is none of its tools")
    if required := convert_to_openai_tool(found)["function"]["parameters"].get("required"):
        raise ConfigError(f"worker '{worker}' cannot begin with '{tool}': it needs {', '.join(required)}")


def first_call(tool: str, key: str) -> AIMessage:
    """The message that calls the tool, as if the model had asked for it.

    Args:
        tool: The tool's name.
        key: The sub-task's key; the same attempt has the same call when it is resumed.
    """
    call = {"name": tool, "args": {}, "id": f"call_opening_{key}", "type": "tool_call"}
    return AIMessage("", tool_calls=[call], additional_kwargs={FIRST_CALL: True})
