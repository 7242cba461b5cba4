"""Tool search: show a worker with many tools those that fit its sub-task, and one that finds the others.

A model chooses worse the more tools it is shown, and each costs tokens in every call. A tool that was used or found
stays in sight for the rest of the attempt.
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
# Matches the lines of an answer of `find_tools`.
_FOUND_LINE = re.compile(r"^- ([\w-]+):", re.MULTILINE)


class ToolSearch:
    """The choice among one worker's tools.

    Args:
        tools: All tools of the worker.
    """

    def __init__(self, tools: Sequence[BaseTool]) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._index = LexicalIndex()
        self.is_needed = len(tools) > MOST_SHOWN
        if self.is_needed:
            for tool in tools:
                self._index.add(tool.name, f"{tool.name.replace('_', ' ')} {tool.description}")

    def finder(self) -> BaseTool:
        """Return the tool that finds tools which are not shown."""

        def find_tools(what: str) -> str:
            """Looks for a tool among those that are not shown. The ones that it names can be called from then on.

            Args:
                what: What the tool has to do.
            """
            matches = [self._tools[name] for name in self._index.search(what, _FOUND)]
            lines = [f"- {tool.name}: {' '.join(tool.description.split())[:160]}" for tool in matches]
            return "\n".join(lines) or "There is no tool for that. Other words may find one; otherwise do without."

        return StructuredTool.from_function(
            func=find_tools,
            name=FIND_TOOLS,
            parse_docstring=True,
            metadata={"risk": "read", "effect": "none", "trust": "trusted"},
        )

    def shown(self, messages: Iterable[AnyMessage]) -> set[str]:
        """Return the names of the tools to show next: those that fit, were used, or were found.

        All are read off the conversation, so that a resumed worker is shown the same tools.

        Args:
            messages: The conversation so far. Its first human message is the sub-task.
        """
        conversation = list(messages)
        query = next((message.text for message in conversation if isinstance(message, HumanMessage)), "")
        names = dict.fromkeys(self._index.search(query, _FITTING))
        for message in conversation:
            if isinstance(message, AIMessage):
                names |= dict.fromkeys(call["name"] for call in message.tool_calls)
            elif isinstance(message, ToolMessage) and message.name == FIND_TOOLS:
                names |= dict.fromkeys(_FOUND_LINE.findall(message.text))
        return {name for name in names if name in self._tools} | {FIND_TOOLS}
