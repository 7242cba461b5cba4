"""Settings of MCP servers and their tools, read from a file or a mapping.

The file has the shape that other MCP clients use, `{"mcpServers": {"name": {"command": …} | {"url": …}}}`, with
additional fields. Values may name variables of the environment as `${NAME}`, so that the file needs no keys. Error
messages never show a value.
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

_PLACEHOLDER: Final = re.compile(r"\$\{([^}]*)\}")
_EXPANDED: Final = ("command", "args", "env", "cwd", "url", "headers")
_STDIO_ONLY: Final = ("args", "env", "cwd")


class McpServerError(Exception):
    """The settings of an MCP server are wrong, or the server cannot be used; the message is for a person."""


class ToolSettings(BaseModel):
    """Settings of all tools of a server, or of one of them.

    Args:
        risk: The worst effect that a call can have.
        effect: `none` if a call changes nothing outside, `idempotent` if repeating it changes nothing more, or `once`.
        trust: `trusted` if answers may be taken for true.
        time_limit_s: Seconds for one call, including the start of the server if needed.
        output_limit: Largest number of characters of one answer; a longer answer is cut off.
        sends: The argument that could carry a secret out, such as an address; for a tool that only reads.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)  # a misspelt field would protect nothing

    risk: Literal["read", "write", "execute", "spend"] | None = None
    effect: Literal["none", "idempotent", "once"] | None = None
    trust: Literal["trusted", "untrusted"] | None = None
    time_limit_s: float | None = Field(None, gt=0, le=590)
    output_limit: int | None = Field(None, ge=200)
    sends: str | None = None


class ServerSettings(ToolSettings):
    """One server: a program to start, or an address.

    Args:
        command: A program that speaks MCP over its standard input and output.
        args: Arguments of the program.
        env: Environment of the program, besides the variables that it needs to start (PATH, HOME, LANG and the like).
        cwd: Working folder of the program.
        url: Address of a server that speaks streamable HTTP.
        headers: Headers for every request to this server, and to no other.
        transport: `stdio` or `http`, which must agree with the other fields; other clients call this field `type`.
        disabled: True to leave the server out.
        workers: Names of the workers that get the tools; by default all.
        tools: Names of the tools to take, as the server calls them; by default all.
        trust_annotations: True to believe the server's hints that a tool only reads, or may be repeated.
        overrides: Settings of single tools, by the server's names.
    """

    command: str | None = Field(None, min_length=1)
    args: tuple[str, ...] = ()
    env: dict[str, str] = Field(default_factory=dict)
    cwd: str | None = None
    url: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    transport: Literal["stdio", "http", "streamable-http", "streamable_http"] | None = Field(None, alias="type")
    disabled: bool = False
    workers: tuple[str, ...] | None = Field(None, min_length=1)
    tools: tuple[str, ...] | None = Field(None, min_length=1)
    trust_annotations: bool = False
    overrides: dict[str, ToolSettings] = Field(default_factory=dict)

    @field_validator("headers")
    @classmethod
    def _sendable(cls, headers: dict[str, str]) -> dict[str, str]:
        plain = {name: value.strip().strip("\"'\ufeff").strip() for name, value in headers.items()}
        for name, value in plain.items():
            if not value.isascii() or not value.isprintable():
                # Never the value itself: most headers of this file are keys.
                raise ValueError(f"the value of '{name}' has line ends, control characters or characters beyond ASCII")
        return plain

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError("give either 'command' or 'url'" + (", not both" if self.command else ""))
        if self.sends is not None:
            raise ValueError("'sends' is about one tool; set it in 'overrides'")
        if self.url is not None:
            address = urlsplit(self.url)
            if address.scheme not in ("http", "https") or not address.hostname or address.port == 0:
                raise ValueError("'url' must begin with http:// or https:// and name a host")
            wrong = [name for name in _STDIO_ONLY if getattr(self, name)]
        else:
            wrong = ["headers"] if self.headers else []
        if wrong:
            raise ValueError(f"'{wrong[0]}' does not go with '{'url' if self.url else 'command'}'")
        if self.transport is not None and (self.transport == "stdio") != (self.command is not None):
            raise ValueError(f"the transport '{self.transport}' does not go with '{'url' if self.url else 'command'}'")
        return self

    def for_tool(self, name: str) -> ToolSettings:
        """Return the settings of one tool: its own, or else the server's."""
        own = self.overrides.get(name, ToolSettings())
        return ToolSettings(
            **{
                field: getattr(own, field) if getattr(own, field) is not None else getattr(self, field)
                for field in _OWN
            }
        )


_OWN: Final = tuple(ToolSettings.model_fields)


def read_servers(servers: Mapping[str, Any] | str | Path) -> dict[str, ServerSettings]:
    """Return the settings of all servers that are not disabled, by name.

    Args:
        servers: Path of a JSON file, or the content of one, with or without `mcpServers` around it.

    Raises:
        McpServerError: A setting is wrong; the message names the server and the field.
    """
    source, data = _loaded(servers)
    listed = data["mcpServers"] if "mcpServers" in data or source else data
    if not isinstance(listed, Mapping):
        raise McpServerError(f"{source or 'the MCP servers'}: 'mcpServers' must be an object with one entry a server")
    enabled: dict[str, ServerSettings] = {}
    for name, entry in listed.items():
        # The server's name becomes the beginning of its tools' names.
        if not isinstance(name, str) or not re.search(r"[A-Za-z]", name):
            raise McpServerError(f"the name {str(name)!r} of an MCP server has no letter in it; give it a name")
        if not isinstance(entry, Mapping):
            raise McpServerError(f"the MCP server '{name}' must be an object with 'command' or 'url'")
        settings = _checked(name, entry)
        if not settings.disabled:
            enabled[name] = settings
    return enabled


def _loaded(servers: Mapping[str, Any] | str | Path) -> tuple[str, Mapping[str, Any]]:
    """Return the name of the source (empty for a mapping), and its content."""
    if isinstance(servers, Mapping):
        return "", servers
    source = f"the file of MCP servers '{servers}'"
    try:
        data = json.loads(Path(servers).read_text(encoding="utf-8-sig"))  # editors on Windows add a byte order mark
    except OSError as error:
        raise McpServerError(f"{source} cannot be read: {error.strerror}") from error
    except UnicodeError as error:
        raise McpServerError(f"{source} is no UTF-8 text") from error
    except ValueError as error:
        raise McpServerError(f"{source} is no JSON: {error}") from error
    if not isinstance(data, dict) or "mcpServers" not in data:
        raise McpServerError(f'{source} has no "mcpServers": {{"name": {{"command": …}} or {{"url": …}}}}')
    return source, data


def _checked(name: str, entry: Mapping[str, Any]) -> ServerSettings:
    plain = dict(entry)
    if "transport" in plain:
        if "type" in plain:
            raise McpServerError(f"the MCP server '{name}' has both 'type' and 'transport'; give one of them")
        plain["type"] = plain.pop("transport")  # some clients write one name, and some the other
    if str(plain.get("type")) in ("sse", "websocket", "ws"):
        raise McpServerError(
            f"the MCP server '{name}', field 'type': '{plain['type']}' is not supported; use stdio or streamable HTTP"
        )
    try:
        if not plain.get("disabled"):  # a disabled server may name variables that are not set
            for field in _EXPANDED:
                if field in plain:
                    plain[field] = _expanded(name, field, plain[field])
        return ServerSettings.model_validate(plain)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]  # the input may be a secret
        path = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = sorted(f.alias or n for n, f in ServerSettings.model_fields.items() if n != "sends")
            known = list(_OWN) if path.startswith("overrides.") else known
            why = f"there is no such field; there is {', '.join(known)}"
        else:
            why = first["msg"].removeprefix("Value error, ")
        raise McpServerError(f"the MCP server '{name}'" + (f", field '{path}'" if path else "") + f": {why}") from None


def _expanded(name: str, field: str, value: Any) -> Any:
    """Return a value with every `${NAME}` replaced from the environment, in lists and objects too."""
    if isinstance(value, Mapping):
        return {key: _expanded(name, f"{field}.{key}", one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_expanded(name, f"{field}.{index}", one) for index, one in enumerate(value)]
    if not isinstance(value, str):
        return value

    def variable(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise McpServerError(
                f"the MCP server '{name}', field '{field}': the environment has no variable '{match[1]}'; set it"
            )
        return os.environ[match[1]]

    return _PLACEHOLDER.sub(variable, value)
