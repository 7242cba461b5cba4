"""Tools of MCP servers, by langchain-mcp-adapters: programs on this machine, or addresses in the network.

Only the server says what its tools do, and the server is a stranger. Each tool therefore counts as one that writes,
that must not be repeated, and whose answers come from outside. A human approves each call, unless the settings say
otherwise. The server's hints (a tool only reads, or may be repeated) count only with `trust_annotations`. The server's
descriptions stand in prompts: see `text.py`.

A tool's name begins with the name of its server. A policy therefore means the same tool when another server is added,
and no server can take the name of a trusted tool.

Connections stay open between calls, and the next call reopens a dead one (`session.py`). A call past its time limit may
continue in its server. Requests from a server (to ask the model or the user) are refused.
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from langchain_core.tools import BaseTool, ToolException
from pydantic import PrivateAttr

from orchestrator_tools.mcp.config import McpServerError, ServerSettings, read_servers
from orchestrator_tools.mcp.session import Server, awaiting, blocking, close_mcp_servers
from orchestrator_tools.mcp.text import McpCallError, answer, cut, description, schema, sendable

if TYPE_CHECKING:
    from langchain_mcp_adapters.interceptors import MCPToolCallRequest
    from mcp.types import CallToolResult

__all__ = [
    "McpServerError",
    "amcp_tools",
    "amcp_tools_by_worker",
    "close_mcp_servers",
    "mcp_tools",
    "mcp_tools_by_worker",
]

_TIME_LIMIT_S: Final = 60.0
_OUTPUT_LIMIT: Final = 100_000
_MARGIN_S: Final = 5.0
"""The tool reports its own timeout, before the engine's time limit for the call ends."""
_LONGEST_NAME: Final = 64  # OpenAI's limit for the name of a function

Servers = Mapping[str, Any] | str | Path


class McpTool(BaseTool):
    """One tool of a server, for threads and for any event loop.

    It is no StructuredTool, because its arguments may have any name: LangChain would take `config` for its own.
    """

    handle_tool_error: Any = True
    _ask: Any = PrivateAttr()

    # "/": a tool may have an argument that is called "self".
    def _run(self, /, **arguments: Any) -> str:
        return blocking(self._answer(arguments))

    async def _arun(self, /, **arguments: Any) -> str:
        return await awaiting(self._answer(arguments))

    async def _answer(self, arguments: dict[str, Any]) -> str:
        content, _ = await self._ask(**arguments)
        return "\n".join(block["text"] for block in content)


class _Relay:
    """Makes the calls of one server's tools over the open connection, and turns the answers into text."""

    def __init__(self, server: Server, time_limit_s: Mapping[str, float], output_limit: Mapping[str, int]) -> None:
        self.server = server
        self.time_limit_s = time_limit_s
        self.output_limit = output_limit

    async def __call__(
        self, request: "MCPToolCallRequest", handler: Callable[["MCPToolCallRequest"], Awaitable[Any]]
    ) -> "CallToolResult":
        from mcp.types import CallToolResult, TextContent

        # The adapter reserves an argument of this name for LangGraph, but here only the model passes one.
        own = {} if request.runtime is None else {"runtime": request.runtime}
        name, server = request.name, self.server.name
        most = self.output_limit[name]
        try:
            result = await self.server.call(name, sendable({**request.args, **own}), self.time_limit_s[name])
        except McpCallError as error:
            consequence = (
                "the call may have been carried out or not: do not repeat it if that could do harm"
                if error.unsure
                else "nothing was done"
            )
            raise ToolException(
                cut(f"error: the MCP server '{server}' {error}; {consequence}; go on without it, and say so", most)
            ) from error
        text = answer(result, most)
        if result.isError:
            text = cut(f"error: the MCP server '{server}' answers: {text}", most)
            raise ToolException(text)
        return CallToolResult(content=[TextContent(type="text", text=text)])


def mcp_tools(servers: Servers) -> list[BaseTool]:
    """Return the tools of MCP servers, after starting or contacting each server.

    Inside an event loop, use `amcp_tools`.

    Args:
        servers: Path of a JSON file `{"mcpServers": {"name": {…}}}`, or such a mapping, with or without `mcpServers`
            around it. `mcp.config.ServerSettings` lists the fields of a server.

    Raises:
        McpServerError: The settings are wrong, a server cannot be used, or packages are missing.
    """
    return _all_of(mcp_tools_by_worker(servers))


async def amcp_tools(servers: Servers) -> list[BaseTool]:
    """Async twin of `mcp_tools`."""
    return _all_of(await amcp_tools_by_worker(servers))


def mcp_tools_by_worker(servers: Servers) -> dict[str, list[BaseTool]]:
    """Return the tools of MCP servers by worker; the key `*` holds the tools for every worker.

    Args:
        servers: See `mcp_tools`.

    Raises:
        McpServerError: See `mcp_tools`.
    """
    return blocking(_by_worker(read_servers(servers)))


async def amcp_tools_by_worker(servers: Servers) -> dict[str, list[BaseTool]]:
    """Async twin of `mcp_tools_by_worker`."""
    settings = await asyncio.to_thread(read_servers, servers)
    return await awaiting(_by_worker(settings))


def _all_of(by_worker: Mapping[str, Sequence[BaseTool]]) -> list[BaseTool]:
    return list({tool.name: tool for tools in by_worker.values() for tool in tools}.values())


async def _by_worker(servers: Mapping[str, ServerSettings]) -> dict[str, list[BaseTool]]:
    _need_packages()
    listed = await asyncio.gather(
        *(_tools_of(name, settings) for name, settings in servers.items()), return_exceptions=True
    )
    by_worker: dict[str, list[BaseTool]] = {}
    owners: dict[str, str] = {}
    for (server, settings), tools in zip(servers.items(), listed, strict=True):
        if isinstance(tools, BaseException):
            raise tools
        for tool in tools:
            if tool.name in owners:
                raise McpServerError(
                    f"the MCP servers '{owners[tool.name]}' and '{server}' both have a tool that would be called "
                    f"'{tool.name}'; rename a server, or leave the tool out by naming others in its 'tools'"
                )
            owners[tool.name] = server
            for worker in settings.workers or ("*",):
                by_worker.setdefault(worker, []).append(tool)
    return by_worker


def _need_packages() -> None:
    missing = [name for name in ("mcp", "langchain_mcp_adapters") if find_spec(name) is None]
    if missing:
        raise McpServerError(
            f"MCP servers need packages that are not installed ({', '.join(missing)}): "
            "pip install 'agent-task-orchestrator[mcp]'"
        )


async def _tools_of(name: str, settings: ServerSettings) -> list[BaseTool]:
    from langchain_mcp_adapters.tools import load_mcp_tools

    # The relay is needed to list the tools, and the limits of each are known only then.
    time_limits: dict[str, float] = {}
    output_limits: dict[str, int] = {}
    server = Server(name, settings, settings.time_limit_s or _TIME_LIMIT_S)
    relay = _Relay(server, time_limits, output_limits)
    try:
        adapted = await server.list(
            lambda session: load_mcp_tools(session, tool_interceptors=[relay], server_name=name)
        )
    except McpCallError as error:
        raise McpServerError(f"the MCP server '{name}' {error}") from error
    offered = [tool.name for tool in adapted]
    for wanted in (*(settings.tools or ()), *settings.overrides):
        if wanted not in offered:
            raise McpServerError(f"the MCP server '{name}' has no tool '{wanted}'; it has {_listed(offered)}")
    tools: list[BaseTool] = []
    for tool in adapted:
        if settings.tools is None or tool.name in settings.tools:
            metadata = _metadata(settings, tool)
            time_limits[tool.name] = metadata["time_limit_s"] - _MARGIN_S
            output_limits[tool.name] = metadata["output_limit"]
            tools.append(_mcp_tool(name, tool, metadata))
    return tools


def _mcp_tool(server: str, adapted: Any, metadata: dict[str, Any]) -> McpTool:
    tool = McpTool(
        name=_name(server, adapted.name),
        description=description(server, adapted.description),
        args_schema=schema(server, adapted.name, adapted.args_schema),
        metadata=metadata,
    )
    tool._ask = adapted.coroutine
    return tool


def _metadata(settings: ServerSettings, adapted: BaseTool) -> dict[str, Any]:
    """Return the tool's declaration for the engine: the user's settings, or else the worst case."""
    own = settings.for_tool(adapted.name)
    hints = (adapted.metadata or {}) if settings.trust_annotations else {}
    risk = own.risk or ("read" if hints.get("readOnlyHint") is True else "write")
    repeatable = "idempotent" if hints.get("idempotentHint") is True else "once"
    declared: dict[str, Any] = {
        "risk": risk,
        "effect": own.effect or ("none" if risk == "read" else repeatable),
        "trust": own.trust or "untrusted",
        "time_limit_s": (own.time_limit_s or _TIME_LIMIT_S) + _MARGIN_S,
        "output_limit": own.output_limit or _OUTPUT_LIMIT,
    }
    return {**declared, "sends": own.sends} if own.sends else declared


def _name(server: str, tool: str) -> str:
    """Return `server_tool` in the characters that endpoints allow; a long name ends in a hash of the whole."""
    words = re.sub(r"[^a-z0-9]+", "_", f"{server}_{tool}".lower()).strip("_")
    name = words if words[0].isalpha() else f"mcp_{words}"
    if len(name) <= _LONGEST_NAME:
        return name
    # Two long names may begin with the same characters.
    return f"{name[: _LONGEST_NAME - 9]}_{hashlib.sha256(f'{server}/{tool}'.encode()).hexdigest()[:8]}"


def _listed(names: Sequence[str]) -> str:
    from orchestrator_tools.mcp.text import line

    return line(", ".join(names), 1_000) or "none"
