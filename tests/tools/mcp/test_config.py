"""Settings of MCP servers: an error names the server and the field, and shows no secret."""

from pathlib import Path
from typing import Any

import pytest
from orchestrator_tools.mcp.config import McpServerError, read_servers


def refusal(servers: Any) -> str:
    with pytest.raises(McpServerError) as error:
        read_servers(servers)
    return str(error.value)


COMMAND = {"command": "x"}
WRONG: list[tuple[Any, str]] = [
    ({"x": {}}, "the MCP server 'x': give either 'command' or 'url'"),
    ({"x": {**COMMAND, "url": "http://a"}}, "the MCP server 'x': give either 'command' or 'url', not both"),
    (
        {"x": {**COMMAND, "autoApprove": []}},
        "the MCP server 'x', field 'autoApprove': there is no such field; there is",
    ),
    ({"x": {**COMMAND, "args": "--fast"}}, "the MCP server 'x', field 'args': Input should be a valid tuple"),
    ({"x": {**COMMAND, "env": {"PORT": 1}}}, "the MCP server 'x', field 'env.PORT': Input should be a valid string"),
    ({"x": {**COMMAND, "risk": "none"}}, "the MCP server 'x', field 'risk': Input should be 'read', 'write', 'exec"),
    ({"x": {**COMMAND, "time_limit_s": 0}}, "the MCP server 'x', field 'time_limit_s': Input should be greater than 0"),
    ({"x": {**COMMAND, "workers": []}}, "the MCP server 'x', field 'workers': Tuple should have at least 1 item"),
    (
        {"x": {**COMMAND, "overrides": {"t": {"tools": 1}}}},
        "the MCP server 'x', field 'overrides.t.tools': there is no",
    ),
    ({"x": {**COMMAND, "sends": "url"}}, "the MCP server 'x': 'sends' is about one tool; set it in 'overrides'"),
    ({"x": {**COMMAND, "headers": {"a": "b"}}}, "the MCP server 'x': 'headers' does not go with 'command'"),
    ({"x": {"url": "http://a", "env": {"a": "b"}}}, "the MCP server 'x': 'env' does not go with 'url'"),
    ({"x": {"url": "file:///a"}}, "the MCP server 'x': 'url' must begin with http:// or https:// and name a host"),
    ({"x": {"url": "http://a:99999"}}, "the MCP server 'x': Port out of range"),
    ({"x": {"url": "http://a", "type": "sse"}}, "the MCP server 'x', field 'type': 'sse' is not supported; use stdio"),
    ({"x": {**COMMAND, "type": "http"}}, "the MCP server 'x': the transport 'http' does not go with 'command'"),
    ({"x": {**COMMAND, "args": ["${NO_SUCH}"]}}, "the MCP server 'x', field 'args.0': the environment has no variable"),
    ({"x": {"url": "http://a", "headers": {"k": "${}"}}}, "the MCP server 'x', field 'headers.k': the environment has"),
    ({"x": "run it"}, "the MCP server 'x' must be an object with 'command' or 'url'"),
    ({"1": COMMAND}, "the name '1' of an MCP server has no letter in it"),
    ({"mcpServers": []}, "the MCP servers: 'mcpServers' must be an object with one entry a server"),
]


@pytest.mark.parametrize(("servers", "why"), WRONG, ids=[why[-40:] for _, why in WRONG])
def test_a_wrong_setting_is_named(servers: Any, why: str) -> None:
    assert refusal(servers).startswith(why)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"{", "is no JSON: Expecting property name"),
        (b"\xff", "is no UTF-8 text"),
        (b'{"mcpServer": {}}', 'has no "mcpServers"'),
        (b"[]", 'has no "mcpServers"'),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_is_no_setting_is_named(tmp_path: Path, text: bytes | None, why: str) -> None:
    path = tmp_path / "servers.json"
    if text is not None:
        path.write_bytes(text)
    assert refusal(path).startswith(f"the file of MCP servers '{path}' {why}")


def test_a_wrong_setting_shows_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "swordfish")
    assert "swordfish" not in refusal({"x": {"url": "ftp://${KEY}@a", "headers": {"a": "${KEY}"}}})
    assert "swordfish" not in refusal({"x": {"command": "x", "risk": "${KEY}", "env": {"a": "${KEY}"}}})


def test_the_environment_is_put_in_where_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "swordfish")
    given = {"command": "x", "args": ["--key=${KEY}", "$KEY"], "env": {"A": "<${KEY}>"}}
    found = read_servers({"mcpServers": {"x": given, "y": {"url": "http://a", "headers": {"k": "${KEY}"}}}})
    assert found["x"].args == ("--key=swordfish", "$KEY")
    assert found["x"].env == {"A": "<swordfish>"}
    assert found["y"].headers == {"k": "swordfish"}
