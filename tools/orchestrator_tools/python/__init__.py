"""A Python interpreter for each sub-task, in a sandbox."""

from typing import TYPE_CHECKING

from orchestrator_tools.faces import lazy_face

if TYPE_CHECKING:
    from orchestrator_tools.python.tools import PythonTool, python_tool

__all__ = ["PythonTool", "python_tool"]

__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "PythonTool": "tools",
        "python_tool": "tools",
    },
)
