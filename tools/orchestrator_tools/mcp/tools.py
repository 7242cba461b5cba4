"""Tools of MCP servers, by langchain-mcp-adapters: programs on this machine, or addresses in the network.

What such a tool does is only known from what its server says, and the server is a stranger. So each tool counts as one
that writes, whose call must not be repeated and whose answers come from outside: a human is asked before each call,
until the settings say otherwise. The server's own hints (it only reads, it may be repeated) are believed only with
`trust_annotations`. Descriptions come from the server too, and stand in prompts: see `tools/mcp_text.py`.

A tool's name always begins with its server's. It then depends on nothing but that server, so a policy keeps meaning
the same tool when another server comes in, and no server can take the name of a tool that is trusted.

Connections stay open between calls and are opened anew when a server has died (`tools/mcp_session.py`). A call that is
given up may go on in its server. Requests of a server to this side (to ask the model or the user) are refused.
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
"""The tool says itself that its time is up, before whoever calls it gives it up."""
_LONGEST_NAME: Final = 64

Servers = Mapping[str, Any] | str | Path


class McpTool(BaseTool):
    """One tool of a server. Works on any event loop and on none.

    Not a StructuredTool, because arguments may have any name here: LangChain would take `config` for its own.
    """

    handle_tool_error: Any = True
    _ask: Any = PrivateAttr()

    def _run(self, /, **arguments: Any) -> str:
        return blocking(self._answer(arguments))

    async def _arun(self, /, **arguments: Any) -> str:
        return await awaiting(self._answer(arguments))

    async def _answer(self, arguments: dict[str, Any]) -> str:
        content, _ = await self._ask(**arguments)
        return "\n".join(block["text"] for block in content)


class _Relay:
    """Makes the calls of one server's tools over its kept connection, and their answers into text."""

    def __init__(self, server: Server, time_limit_s: Mapping[str, float], output_limit: Mapping[str, int]) -> None:
        self.server = server
        self.time_limit_s = time_limit_s
        self.output_limit = output_limit

    async def __call__(
        self, request: "MCPToolCallRequest", handler: Callable[["MCPToolCallRequest"], Awaitable[Any]]
    ) -> "CallToolResult":
        from mcp.types import CallToolResult, TextContent

        # The adapter keeps an argument of this name back for LangGraph; nobody passes one here but the model.
        own = {} if request.runtime is None else {"runtime": request.runtime}
        name, server = request.name, self.server.name
        most = self.output_limit[name]
        try:
            result = await self.server.call(name, sendable({**request.args, **own}), self.time_limit_s[name])
        except McpCallError as error:
            done = (
                "the call may have been carried out or not: do not repeat it if that could do harm"
                if error.unsure
                else "nothing was done"
            )
            raise ToolException(
                cut(f"error: the MCP server '{server}' {error}; {done}; go on without it, and say so", most)
            ) from error
        text = answer(result, most)
        if result.isError:
            text = cut(f"error: the MCP server '{server}' answers: {text}", most)
            raise ToolException(text)
        return CallToolResult(content=[TextContent(type="text", text=text)])


def mcp_tools(servers: Servers) -> list[BaseTool]:
    """The tools of MCP servers. Starts or reaches each server to list them; inside an event loop use `amcp_tools`.

    Args:
        servers: The path of a JSON file `{"mcpServers": {"name": {…}}}`, or such a mapping, with `mcpServers` around
            it or without. `mcp.config.ServerSettings` lists the fields of a server.

    Raises:
        McpServerError: The settings are wrong, a server cannot be used, or the packages are not installed.
    """
    return _all_of(mcp_tools_by_worker(servers))


async def amcp_tools(servers: Servers) -> list[BaseTool]:
    """The async twin of `mcp_tools`."""
    return _all_of(await amcp_tools_by_worker(servers))


def mcp_tools_by_worker(servers: Servers) -> dict[str, list[BaseTool]]:
    """The same tools by the workers that the settings give them to; under `*` those that are for every worker.

    Args:
        servers: As for `mcp_tools`.

    Raises:
        McpServerError: As for `mcp_tools`.
    """
    return blocking(_by_worker(read_servers(servers)))


async def amcp_tools_by_worker(servers: Servers) -> dict[str, list[BaseTool]]:
    """The async twin of `mcp_tools_by_worker`."""
    settings = await asyncio.to_thread(read_servers, servers)
    return await awaiting(_by_worker(settings))


def _all_of(by_worker: Mapping[str, Sequence[BaseTool]]) -> list[BaseTool]:
    return list({tool.name: tool for tools in by_worker.values() for tool in tools}.values())


async def _by_worker(servers: Mapping[str, ServerSettings]) -> dict[str, list[BaseTool]]:
    _need_packages()
    listed = await asyncio.gather(
        *(_tools_of(name, settings) for name, settings in servers.items()), return_exceptions=True
    )
    found: dict[str, list[BaseTool]] = {}
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
                found.setdefault(worker, []).append(tool)
    return found


def _need_packages() -> None:
    missing = [name for name in ("mcp", "langchain_mcp_adapters") if find_spec(name) is None]
    if missing:
        raise McpServerError(
            f"MCP servers need packages that are not installed ({', '.join(missing)}): "
            "pip install 'agent-task-orchestrator[mcp]'"
        )


async def _tools_of(name: str, settings: ServerSettings) -> list[BaseTool]:
    from langchain_mcp_adapters.tools import load_mcp_tools

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
    there = [tool.name for tool in adapted]
    for asked in (*(settings.tools or ()), *settings.overrides):
        if asked not in there:
            raise McpServerError(f"the MCP server '{name}' has no tool '{asked}'; it has {_listed(there)}")
    tools: list[BaseTool] = []
    for tool in adapted:
        if settings.tools is None or tool.name in settings.tools:
            metadata = _metadata(settings, tool)
            time_limits[tool.name] = metadata["time_limit_s"] - _MARGIN_S
            output_limits[tool.name] = metadata["output_limit"]
            tools.append(_made(name, tool, metadata))
    return tools


def _made(server: str, adapted: Any, metadata: dict[str, Any]) -> McpTool:
    made = McpTool(
        name=_name(server, adapted.name),
        description=description(server, adapted.description),
        args_schema=schema(server, adapted.name, adapted.args_schema),
        metadata=metadata,
    )
    made._ask = adapted.coroutine
    return made


def _metadata(settings: ServerSettings, adapted: BaseTool) -> dict[str, Any]:
    """What the engine is told: what the user says, else the worst."""
    said = settings.for_tool(adapted.name)
    hints = (adapted.metadata or {}) if settings.trust_annotations else {}
    risk = said.risk or ("read" if hints.get("readOnlyHint") is True else "write")
    repeatable = "idempotent" if hints.get("idempotentHint") is True else "once"
    told: dict[str, Any] = {
        "risk": risk,
        "effect": said.effect or ("none" if risk == "read" else repeatable),
        "trust": said.trust or "untrusted",
        "time_limit_s": (said.time_limit_s or _TIME_LIMIT_S) + _MARGIN_S,
        "output_limit": said.output_limit or _OUTPUT_LIMIT,
    }
    return {**told, "sends": said.sends} if said.sends else told


def _name(server: str, tool: str) -> str:
    """`server_tool`, in the characters that models may use; a long one ends in a mark of the whole."""
    words = re.sub(r"[^a-z0-9]+", "_", f"{server}_{tool}".lower()).strip("_")
    name = words if words[0].isalpha() else f"mcp_{words}"
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[: _LONGEST_NAME - 9]}_{hashlib.sha256(f'{server}/{tool}'.encode()).hexdigest()[:8]}"


def _listed(names: Sequence[str]) -> str:
    from orchestrator_tools.mcp.text import line

    return line(", ".join(names), 1_000) or "none"
