"""Clean texts between MCP servers and models: arguments, answers, descriptions and reasons.

A server is a stranger. Its descriptions stand in the prompts of every worker that has its tools, before any call and
without a mark that they came from outside. They are shortened here, and invisible characters (control, formatting,
private) are removed. A planted instruction becomes shorter and visible by that, but not harmless.
"""

import json
import unicodedata
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from orchestrator_tools.mcp.config import McpServerError, ServerSettings

if TYPE_CHECKING:
    from mcp.types import CallToolResult

_HIDDEN: Final = ("Cc", "Cf", "Co", "Cs")
_MOST_DESCRIPTION: Final = 1_000
_MOST_ABOUT_ARGUMENT: Final = 300
_MOST_SCHEMA: Final = 20_000
_MOST_REASON: Final = 500
SESSION_UNKNOWN: Final = 32600
"""The SDK's code for HTTP status 404, without the minus of JSON-RPC: no such session, or no such page."""
_PROSE: Final = ("description", "title", "$comment")


class McpCallError(Exception):
    """A server gave no answer.

    Args:
        why: The reason, as the rest of a sentence that begins with the server.
        unsure: True if the call was sent, so that it may have been carried out.
    """

    def __init__(self, why: str, *, unsure: bool = False) -> None:
        super().__init__(why)
        self.unsure = unsure


def whole(text: str) -> str:
    """Return a text with surrogate halves joined, and replaced if the other half is missing."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def sendable(value: Any) -> Any:
    """Return a call's arguments in a form that can be written as UTF-8."""
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, Mapping):
        return {whole(str(name)): sendable(one) for name, one in value.items()}
    return [sendable(one) for one in value] if isinstance(value, (list, tuple)) else value


def line(text: object, most: int) -> str:
    """Return a stranger's text as one short line without hidden characters."""
    shown = "".join(" " if c.isspace() else "" if unicodedata.category(c) in _HIDDEN else c for c in str(text)[:20_000])
    shown = " ".join(shown.split())
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def description(server: str, stated: str | None) -> str:
    """Return a tool's description: the name of its server, and the server's own description."""
    text = line(stated or "", _MOST_DESCRIPTION)
    return f"A tool of the MCP server '{line(server, 60)}'. The server describes it so: {text or '(not at all)'}"


def schema(server: str, tool: str, stated: Any) -> dict[str, Any]:
    """Return the schema of a tool's arguments, with clean prose and a description of every argument.

    Raises:
        McpServerError: The schema is too long for a prompt.
    """
    kept = _clean(stated, prose=True) if isinstance(stated, Mapping) else {}
    properties = kept.get("properties")
    kept = {**kept, "type": "object", "properties": properties if isinstance(properties, dict) else {}}
    for name, argument in kept["properties"].items():
        fields = argument if isinstance(argument, dict) else {}
        text = fields.get("description") or fields.get("title") or "(the server does not describe it)"
        kept["properties"][name] = {**fields, "description": text}
    if len(json.dumps(kept)) > _MOST_SCHEMA:
        raise McpServerError(
            f"the MCP server '{server}': the arguments of its tool '{line(tool, 80)}' take more than "
            f"{_MOST_SCHEMA:,} characters to describe; name the tools that you need in its 'tools'"
        )
    return kept


def _clean(value: Any, *, prose: bool) -> Any:
    """Return a schema with short prose. Names, enumerations and defaults stay, because calls must match them."""
    if isinstance(value, Mapping):
        kept = {}
        for name, one in value.items():
            if prose and name in _PROSE and isinstance(one, str):
                kept[name] = line(one, _MOST_ABOUT_ARGUMENT)
            else:
                # Below `properties` and `$defs` the names are the server's own, and no keywords of JSON schema.
                kept[whole(str(name))] = _clean(one, prose=name not in ("properties", "$defs", "definitions"))
        return kept
    if isinstance(value, list):
        return [_clean(one, prose=True) for one in value]
    return whole(value) if isinstance(value, str) else value


def answer(result: "CallToolResult", most: int) -> str:
    """Return a tool's answer as text. Images, files and the like are only named.

    Args:
        result: The answer.
        most: Largest number of characters.
    """
    parts = [part for content in result.content if (part := _part(content)).strip()]
    if not parts and result.structuredContent:
        parts = [json.dumps(result.structuredContent, ensure_ascii=False)]
    return cut(whole("\n".join(parts)) or "(the tool answered without any text)", most)


def cut(text: str, most: int) -> str:
    """Return a text, or its beginning and a note that the text continues."""
    if len(text) <= most:
        return text
    note = f"\n[… cut off after {most:,} of {len(text):,} characters; ask for less]"
    return text[: most - len(note)] + note


def _part(content: Any) -> str:
    from mcp import types

    match content:
        case types.TextContent():
            return content.text
        case types.ImageContent() | types.AudioContent():
            return f"[{content.type}, {line(content.mimeType, 80)}: not shown]"
        case types.ResourceLink():
            return f"[a link to {line(content.uri, 500)}: {line(content.name, 200)}]"
        case types.EmbeddedResource(resource=types.TextResourceContents() as resource):
            return resource.text
        case types.EmbeddedResource(resource=resource):
            return f"[{line(resource.uri, 500)}, {line(resource.mimeType or 'of unknown kind', 80)}: not shown]"
    return f"[{line(type(content).__name__, 80)}: not shown]"


def mended(error: Exception) -> Any:
    """Return a message that the SDK could not read because of surrogate halves, or else the SDK's error."""
    from mcp.shared.message import SessionMessage
    from mcp.types import JSONRPCMessage
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return error
    raw = error.errors(include_url=False, include_context=False)[0].get("input")
    if not isinstance(raw, (str, bytes)):
        return error
    try:
        # Python's json module accepts surrogate halves, which a server in JavaScript can write.
        return SessionMessage(JSONRPCMessage.model_validate(sendable(json.loads(raw))))
    except ValueError:
        return error


def reason(error: BaseException, settings: ServerSettings, limit: float) -> str:
    """Return why a server cannot be used, as the rest of a sentence, without headers, arguments or query."""
    import anyio
    import httpx
    from mcp import McpError

    first = next(_leaves(error))  # the SDK's task groups wrap errors in groups
    url = urlsplit(settings.url or "")
    origin = f"{url.scheme}://{url.hostname}" + (f":{url.port}" if url.port else "")
    match first:
        case TimeoutError() | httpx.TimeoutException():
            return f"did not answer within {limit:g} s"
        case httpx.HTTPStatusError() if first.response.is_redirect:
            return f"leads on to another address (HTTP status {first.response.status_code}), which is not followed"
        case httpx.HTTPStatusError():
            return f"answers with HTTP status {first.response.status_code}"
        case httpx.TransportError():
            return f"cannot be reached at {origin}"
        case McpError() if first.error.code == SESSION_UNKNOWN and settings.url:
            return f"has no MCP at this address of {origin} (HTTP status 404)"
        case McpError() if first.error.message != "Connection closed":
            return f"answers with an error: {line(first.error.message, _MOST_REASON)}"
        case FileNotFoundError() | PermissionError() | NotADirectoryError():
            return f"cannot be started: '{settings.command}': {first.strerror}"
        case McpError() | ConnectionError() | anyio.BrokenResourceError() | anyio.ClosedResourceError():
            return "ended" if settings.command else f"ended the connection to {origin}"
    return f"cannot be used ({type(first).__name__}: {line(first, 200)})"


def _leaves(error: BaseException) -> Iterator[Any]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error
