"""Tools of MCP servers, over stdio and streamable HTTP."""

from typing import TYPE_CHECKING

from orchestrator_tools.faces import lazy_face

if TYPE_CHECKING:
    from orchestrator_tools.mcp.config import McpServerError
    from orchestrator_tools.mcp.session import close_mcp_servers
    from orchestrator_tools.mcp.tools import amcp_tools, mcp_tools, mcp_tools_by_worker

__all__ = ["McpServerError", "amcp_tools", "close_mcp_servers", "mcp_tools", "mcp_tools_by_worker"]

__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "McpServerError": "config",
        "close_mcp_servers": "session",
        "amcp_tools": "tools",
        "mcp_tools": "tools",
        "mcp_tools_by_worker": "tools",
    },
)
