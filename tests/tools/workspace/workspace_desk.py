"""The tools of one workspace, as the tests call them."""

from pathlib import Path
from typing import Any

from langchain_core.tools import BaseTool
from orchestrator_tools.workspace.tools import workspace_tools


class Desk:
    """The tools in one workspace, with what a call needs besides its arguments."""

    def __init__(self, path: Path, **limits: int) -> None:
        self.path = path
        self.tools: dict[str, BaseTool] = {tool.name: tool for tool in workspace_tools(**limits)}

    def call(self, tool: str, **arguments: Any) -> str:
        return str(self.tools[tool].invoke(arguments, {"configurable": {"workspace": str(self.path)}}))

    def write(self, name: str, text: str) -> str:
        return self.call("write_file", name=name, text=text)

    def read(self, name: str) -> str:
        return self.call("read_file", name=name)

    def patch(self, name: str, old: str, new: str) -> str:
        return self.call("patch_file", name=name, old=old, new=new)
