"""Files in the thread's workspace."""

from typing import TYPE_CHECKING

from orchestrator_tools.faces import lazy_face

if TYPE_CHECKING:
    from orchestrator_tools.workspace.tools import workspace_tools

__all__ = ["workspace_tools"]

__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "workspace_tools": "tools",
    },
)
