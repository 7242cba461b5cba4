"""What passes between MCP servers and models, as clean text: arguments, answers, descriptions and reasons.

A server is a stranger. Its descriptions stand in the prompts of every worker that has its tools, before any of them is
called and without a mark that they came from outside. They are shortened here, and what could hide in them (control,
formatting and private characters) is taken out; that makes a planted instruction shorter and visible, not harmless.
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
"""The SDK's code (without the minus of JSON-RPC's) for HTTP status 404: no such session, or no such page."""
_PROSE: Final = ("description", "title", "$comment")


class McpCallError(Exception):
    """A server gave no answer.

    Args:
        why: Continues a sentence that begins with the server.
        unsure: Whether the call had been sent, so that it may have been carried out.
    """

    def __init__(self, why: str, *, unsure: bool = False) -> None:
        super().__init__(why)
        self.unsure = unsure


def whole(text: str) -> str:
    """The text with halves of surrogate pairs joined, and replaced where the other half is missing."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def sendable(value: Any) -> Any:
    """A call's arguments as they can be written as UTF-8."""
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, Mapping):
        return {whole(str(name)): sendable(one) for name, one in value.items()}
    return [sendable(one) for one in value] if isinstance(value, (list, tuple)) else value


def line(text: object, most: int) -> str:
    """A stranger's text in one line without hidden characters, shortened."""
    shown = "".join(" " if c.isspace() else "" if unicodedata.category(c) in _HIDDEN else c for c in str(text)[:20_000])
    shown = " ".join(shown.split())
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def description(server: str, said: str | None) -> str:
    """What a tool's description is made of: whose it is, and what the server says of it."""
    text = line(said or "", _MOST_DESCRIPTION)
    return f"A tool of the MCP server '{line(server, 60)}'. The server describes it so: {text or '(not at all)'}"


def schema(server: str, tool: str, given: Any) -> dict[str, Any]:
    """The schema of a tool's arguments, with its prose cleaned and every argument described.

    Raises:
        McpServerError: It is too long to stand in a prompt.
    """
    kept = _clean(given, prose=True) if isinstance(given, Mapping) else {}
    properties = kept.get("properties")
    kept = {**kept, "type": "object", "properties": properties if isinstance(properties, dict) else {}}
    for name, about in kept["properties"].items():
        about = about if isinstance(about, dict) else {}
        told = about.get("description") or about.get("title") or "(the server does not describe it)"
        kept["properties"][name] = {**about, "description": told}
    if len(json.dumps(kept)) > _MOST_SCHEMA:
        raise McpServerError(
            f"the MCP server '{server}': the arguments of its tool '{line(tool, 80)}' take more than "
            f"{_MOST_SCHEMA:,} characters to describe; name the tools that you need in its 'tools'"
        )
    return kept


def _clean(value: Any, *, prose: bool) -> Any:
    """Prose is shortened; what a call must match word for word (names, enumerations, defaults) stays."""
    if isinstance(value, Mapping):
        kept = {}
        for name, one in value.items():
            if prose and name in _PROSE and isinstance(one, str):
                kept[name] = line(one, _MOST_ABOUT_ARGUMENT)
            else:
                # Below `properties` and `$defs` the names are the server's own, and no words of the schema language.
                kept[whole(str(name))] = _clean(one, prose=name not in ("properties", "$defs", "definitions"))
        return kept
    if isinstance(value, list):
        return [_clean(one, prose=True) for one in value]
    return whole(value) if isinstance(value, str) else value


def answer(result: "CallToolResult", most: int) -> str:
    """What a tool answered, as text; what is no text is named.

    Args:
        result: The answer.
        most: Most characters.
    """
    parts = [part for content in result.content if (part := _part(content)).strip()]
    if not parts and result.structuredContent:
        parts = [json.dumps(result.structuredContent, ensure_ascii=False)]
    return cut(whole("\n".join(parts)) or "(the tool answered without any text)", most)


def cut(text: str, most: int) -> str:
    """The text, or its beginning and a note that it goes on."""
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
    """A message that could not be read because of half surrogates, made readable; otherwise the error that came."""
    from mcp.shared.message import SessionMessage
    from mcp.types import JSONRPCMessage
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return error
    raw = error.errors(include_url=False, include_context=False)[0].get("input")
    if not isinstance(raw, (str, bytes)):
        return error
    try:
        # Python's own reader takes half surrogates, which a server in JavaScript may well write.
        return SessionMessage(JSONRPCMessage.model_validate(sendable(json.loads(raw))))
    except ValueError:
        return error


def reason(error: BaseException, settings: ServerSettings, limit: float) -> str:
    """Why a server cannot be used, to go on after its name; it shows no header, argument or query."""
    import anyio
    import httpx
    from mcp import McpError

    first = next(_leaves(error))
    url = urlsplit(settings.url or "")
    place = f"{url.scheme}://{url.hostname}" + (f":{url.port}" if url.port else "")
    match first:
        case TimeoutError() | httpx.TimeoutException():
            return f"did not answer within {limit:g} s"
        case httpx.HTTPStatusError() if first.response.is_redirect:
            return f"leads on to another address (HTTP status {first.response.status_code}), which is not followed"
        case httpx.HTTPStatusError():
            return f"answers with HTTP status {first.response.status_code}"
        case httpx.TransportError():
            return f"cannot be reached at {place}"
        case McpError() if first.error.code == SESSION_UNKNOWN and settings.url:
            return f"has no MCP at this address of {place} (HTTP status 404)"
        case McpError() if first.error.message != "Connection closed":
            return f"answers with an error: {line(first.error.message, _MOST_REASON)}"
        case FileNotFoundError() | PermissionError() | NotADirectoryError():
            return f"cannot be started: '{settings.command}': {first.strerror}"
        case McpError() | ConnectionError() | anyio.BrokenResourceError() | anyio.ClosedResourceError():
            return "ended" if settings.command else f"ended the connection to {place}"
    return f"cannot be used ({type(first).__name__}: {line(first, 200)})"


def _leaves(error: BaseException) -> Iterator[Any]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error
