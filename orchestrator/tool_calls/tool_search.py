"""Which tools a worker is shown: all of a few; of many, those that fit its sub-task, and one that looks for more.

A model chooses worse the more tools it is shown, and each costs tokens in every call. What is left out here can still
be found, and a tool that was found or used stays in sight for the rest of the attempt.
"""

import re
from collections.abc import Iterable, Sequence

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langchain_core.tools import BaseTool, StructuredTool

from orchestrator.memory.recall import LexicalIndex

MOST_SHOWN = 15
_FITTING = 10
_FOUND = 5
FIND_TOOLS = "find_tools"
_FOUND_LINE = re.compile(r"^- ([\w-]+):", re.MULTILINE)


class ToolSearch:
    """The choice among one worker's tools.

    Args:
        tools: All of them.
    """

    def __init__(self, tools: Sequence[BaseTool]) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._index = LexicalIndex()
        self.is_needed = len(tools) > MOST_SHOWN
        if self.is_needed:
            for tool in tools:
                self._index.add(tool.name, f"{tool.name.replace('_', ' ')} {tool.description}")

    def finder(self) -> BaseTool:
        """The tool that looks for more."""

        def find_tools(what: str) -> str:
            """Looks for a tool among those that are not shown. The ones that it names can be called from then on.

            Args:
                what: What the tool has to do.
            """
            found = [self._tools[name] for name in self._index.search(what, _FOUND)]
            lines = [f"- {tool.name}: {' '.join(tool.description.split())[:160]}" for tool in found]
            return "\n".join(lines) or "There is no tool for that. Other words may find one; otherwise do without."

        return StructuredTool.from_function(
            func=find_tools,
            name=FIND_TOOLS,
            parse_docstring=True,
            metadata={"risk": "read", "effect": "none", "trust": "trusted"},
        )

    def shown(self, messages: Iterable[AnyMessage]) -> set[str]:
        """Names of the tools to show next: those that fit, were used, or were found.

        Args:
            messages: The conversation so far; its first human message is the sub-task.
        """
        listed = list(messages)
        query = next((message.text for message in listed if isinstance(message, HumanMessage)), "")
        names = dict.fromkeys(self._index.search(query, _FITTING))
        for message in listed:
            if isinstance(message, AIMessage):
                names |= dict.fromkeys(call["name"] for call in message.tool_calls)
            elif isinstance(message, ToolMessage) and message.name == FIND_TOOLS:
                names |= dict.fromkeys(_FOUND_LINE.findall(message.text))
        return {name for name in names if name in self._tools} | {FIND_TOOLS}
