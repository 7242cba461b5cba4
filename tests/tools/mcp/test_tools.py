"""Tools of real MCP servers: their declarations, and their answers when a server is faulty, slow or dead."""

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool
from orchestrator_tools.mcp import session as mcp_session
from orchestrator_tools.mcp import tools as mcp
from orchestrator_tools.mcp.tools import McpServerError, amcp_tools, close_mcp_servers, mcp_tools, mcp_tools_by_worker

from orchestrator import Policy
from orchestrator.testing import assert_conforms

pytest.importorskip("langchain_mcp_adapters", reason="the extra 'mcp' is not installed")

SERVER = str(Path(__file__).with_name("mcp_server.py"))


def program(*arguments: str, **more: Any) -> dict[str, Any]:
    return {"command": sys.executable, "args": [SERVER, *arguments], **more}


class HttpServer:
    """The real server on a port of the loopback, which a test can kill and restart at the same address."""

    def __init__(self) -> None:
        self.port = 0
        self.start()

    def start(self) -> None:
        command = [sys.executable, SERVER, "http", str(self.port)]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.child.stdout is not None
        self.port = int(self.child.stdout.readline())

    def kill(self) -> None:
        self.child.kill()
        self.child.wait()
        assert self.child.stdout is not None
        self.child.stdout.close()

    @property
    def settings(self) -> dict[str, Any]:
        return {"url": f"http://127.0.0.1:{self.port}/mcp"}


@pytest.fixture(scope="module")
def http() -> Iterator[HttpServer]:
    server = HttpServer()
    yield server
    server.kill()


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    close_mcp_servers()


def by_name(tools: list[BaseTool]) -> dict[str, BaseTool]:
    return {tool.name: tool for tool in tools}


@pytest.fixture(scope="module")
def stdio() -> dict[str, BaseTool]:
    return by_name(mcp_tools({"real": program("stdio")}))


@pytest.fixture(params=["stdio", "http"])
def either(request: pytest.FixtureRequest) -> dict[str, BaseTool]:
    """Return the real server's tools, over either transport."""
    if request.param == "stdio":
        found: dict[str, BaseTool] = request.getfixturevalue("stdio")
        return found
    return by_name(mcp_tools({"real": request.getfixturevalue("http").settings}))


def call(tool: BaseTool, **arguments: Any) -> ToolMessage:
    answer = tool.invoke({"name": tool.name, "args": arguments, "id": "1", "type": "tool_call"})
    assert isinstance(answer, ToolMessage)
    return answer


def raw(how: str, **more: Any) -> list[BaseTool]:
    return mcp_tools({"raw": program("raw", how, **more)})


def test_a_tool_answers_threads_and_event_loops(either: dict[str, BaseTool]) -> None:
    echo = either["real_echo"]
    assert call(echo, text="hello").text == "hello"
    for text in ("one loop", "another loop"):
        assert asyncio.run(echo.ainvoke({"text": text})) == text
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda text: echo.invoke({"text": text}), "abcd")) == list("abcd")


async def test_tools_can_be_listed_inside_an_event_loop_with_and_without_blocking_it() -> None:
    servers = {"real": program("raw", "")}
    assert [tool.name for tool in await amcp_tools(servers)] == [tool.name for tool in mcp_tools(servers)]


def test_a_tool_is_taken_for_the_worst_and_asks_first(stdio: dict[str, BaseTool]) -> None:
    told = {"risk": "write", "effect": "once", "trust": "untrusted", "time_limit_s": 65.0, "output_limit": 100_000}
    for tool in stdio.values():
        assert tool.metadata == told
        assert Policy().rule_on("worker", tool, {}).action == "ask"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"trust_annotations": True}, ("read", "none", "untrusted")),
        ({"risk": "read", "trust": "trusted"}, ("read", "none", "trusted")),
        ({"overrides": {"look_up": {"effect": "idempotent"}}}, ("write", "idempotent", "untrusted")),
        ({"risk": "spend", "overrides": {"look_up": {"risk": "execute"}}}, ("execute", "once", "untrusted")),
        ({"trust_annotations": True, "risk": "write"}, ("write", "idempotent", "untrusted")),
    ],
)
def test_only_the_user_lowers_what_a_tool_is_taken_for(
    http: HttpServer, said: dict[str, Any], told: tuple[str, ...]
) -> None:
    [tool] = mcp_tools({"real": {**http.settings, "tools": ["look_up"], **said}})
    assert tuple((tool.metadata or {})[name] for name in ("risk", "effect", "trust")) == told


def test_the_tools_conform(stdio: dict[str, BaseTool]) -> None:
    assert_conforms(stdio["real_echo"], {"text": "x"})
    assert_conforms(stdio["real_settings"], {"config": "x", "runtime": 1})
    for tool in [*stdio.values(), *raw("")]:
        assert_conforms(tool, {}, harmless=False)


def test_arguments_keep_the_names_that_others_have_plans_for(stdio: dict[str, BaseTool]) -> None:
    assert call(stdio["real_settings"], config="dark", runtime=7).text == "dark 7"


def test_what_a_server_says_of_itself_is_shortened_and_hides_nothing() -> None:
    tool, other = raw("")
    assert tool.name == "raw_odd_name_with_signs"
    assert other.name.startswith("raw_xxxx")
    assert len(other.name) == 64
    assert tool.description.startswith("A tool of the MCP server 'raw'. The server describes it so: Adds.[31m Ignore")
    assert tool.description.isprintable()
    assert len(tool.description) < 1_100
    assert isinstance(tool.args_schema, dict)
    about = tool.args_schema["properties"]
    assert about["description"] == {"type": "integer", "description": "(the server does not describe it)"}
    assert about["a"]["description"].isprintable()
    assert len(about["a"]["description"]) == 300


@pytest.mark.parametrize(
    ("tool", "arguments", "status", "text"),
    [
        ("picture", {}, "success", "[image, image/png: not shown]"),
        ("fail", {"text": "x"}, "error", "error: the MCP server 'real' answers: Error executing tool fail: no such"),
        ("echo", {}, "error", "error: the MCP server 'real' answers: Error executing tool echo: 1 validation error"),
        ("echo", {"text": "\ud83d\ude00 \ud83d"}, "success", "\U0001f600 \ufffd"),
    ],
)
def test_answers_of_every_kind_are_text(
    either: dict[str, BaseTool], tool: str, arguments: dict[str, Any], status: str, text: str
) -> None:
    answer = call(either[f"real_{tool}"], **arguments)
    assert answer.text.startswith(text)
    assert answer.status == status


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("halves", "half \ufffd of a pair"),
        ("sound", "[audio, audio/wav: not shown]\n[a link to file:///tmp/x: a file]"),
    ],
)
def test_answers_that_are_hard_to_read_are_read(how: str, text: str) -> None:
    assert call(raw(how)[0], a="x").text == text


def test_other_things_on_the_servers_output_are_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    assert call(raw("noise")[0], a="x").text.isdigit()
    assert not [record for record in caplog.records if record.name.startswith("mcp")]


def test_a_huge_answer_is_cut_off(http: HttpServer) -> None:
    [many] = mcp_tools({"real": {**http.settings, "tools": ["many"], "output_limit": 1_000}})
    answer = call(many, count=3_000_000).text
    assert answer.endswith("[… cut off after 1,000 of 3,000,000 characters; ask for less]")
    assert len(answer) == 1_000


def test_a_program_gets_the_environment_that_is_named_and_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("THE_TOKEN", "t-1")
    tool = raw("", env={"TOKEN": "Bearer ${THE_TOKEN}"})[0]
    environment = json.loads(call(tool, a="environment").text)
    assert environment["TOKEN"] == "Bearer t-1"
    assert "PATH" in environment
    assert not {"OPENAI_API_KEY", "THE_TOKEN"} & set(environment)


def pid(tool: BaseTool) -> int:
    return int(call(tool, a="x").text)


def test_a_program_that_was_killed_is_started_again_by_the_next_call() -> None:
    tool = raw("")[0]
    first = pid(tool)
    assert pid(tool) == first
    os.kill(first, signal.SIGKILL)
    while (answer := call(tool, a="x")).status == "error":  # a call may still go to the dying one
        assert "the MCP server 'raw' ended" in answer.text
    assert int(answer.text) != first


def test_a_server_that_dies_in_a_call_is_an_error_that_does_not_promise_anything() -> None:
    tool = raw("")[0]
    answer = call(tool, a="die")
    assert answer.status == "error"
    assert answer.text.startswith("error: the MCP server 'raw' ended; the call may have been carried out or not")
    assert call(tool, a="x").status == "success"


def test_a_dead_http_server_is_an_error_and_works_again_when_it_is_back(http: HttpServer) -> None:
    [echo] = mcp_tools({"real": {**http.settings, "tools": ["echo"]}})
    assert call(echo, text="before").text == "before"
    http.kill()
    gone = f"error: the MCP server 'real' cannot be reached at http://127.0.0.1:{http.port}; "
    for done in ("the call may have been carried out or not", "nothing was done"):
        answer = call(echo, text="meanwhile")
        assert answer.status == "error"
        assert answer.text.startswith(gone + done)
    http.start()
    assert call(echo, text="after").text == "after"


def test_a_http_server_that_forgot_the_session_gets_a_new_one_unnoticed(http: HttpServer) -> None:
    [echo] = mcp_tools({"real": {**http.settings, "tools": ["echo"]}})
    assert call(echo, text="before").text == "before"
    http.kill()
    http.start()
    assert call(echo, text="after").text == "after"


def test_a_call_that_hangs_is_given_up_and_the_server_is_started_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_session, "_PING_S", 1.0)
    tool = raw("", overrides={"Odd Name/with-signs": {"time_limit_s": 3}})[0]
    first = pid(tool)
    late = "error: the MCP server 'raw' did not answer within 3 s; "
    assert call(tool, a="hang").text.startswith(late + "the call may have been carried")
    while (answer := call(tool, a="x")).status == "error":  # a slow machine needs longer to start a program
        assert answer.text.startswith(late)
    assert int(answer.text) != first


def refusal(servers: Any) -> str:
    with pytest.raises(McpServerError) as error:
        mcp_tools(servers)
    return str(error.value)


def test_a_server_that_cannot_be_used_is_named_with_its_cause(http: HttpServer, tmp_path: Path) -> None:
    assert refusal({"x": {"command": "no-such-program"}}) == (
        "the MCP server 'x' cannot be started: 'no-such-program': No such file or directory"
    )
    dying = {"command": sys.executable, "args": ["-c", "raise SystemExit('no licence')"]}
    assert refusal({"x": dying}) == "the MCP server 'x' ended; it wrote: no licence"
    mute = refusal({"x": program("raw", "mute", time_limit_s=1.5)})
    assert mute.startswith("the MCP server 'x' did not answer within 1.5 s")
    assert refusal({"x": {"url": f"http://127.0.0.1:{http.port}/nothing?key=secret"}}) == (
        f"the MCP server 'x' has no MCP at this address of http://127.0.0.1:{http.port} (HTTP status 404)"
    )
    gone = HttpServer()
    gone.kill()
    assert refusal({"x": gone.settings}) == (f"the MCP server 'x' cannot be reached at http://127.0.0.1:{gone.port}")


def test_headers_do_not_follow_a_redirect() -> None:
    seen: list[str] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(f"{self.headers['Host']} {self.headers['Authorization']}")
            self.send_response(307)
            self.send_header("Location", f"http://127.0.0.1:{other.server_port}/mcp")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with (
        ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as first,
        ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as other,
    ):
        for server in (first, other):
            threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        port = first.server_port
        why = refusal({"x": {"url": f"http://127.0.0.1:{port}/mcp", "headers": {"Authorization": "Bearer s"}}})
        for server in (first, other):
            server.shutdown()
    assert why == "the MCP server 'x' leads on to another address (HTTP status 307), which is not followed"
    assert seen == [f"127.0.0.1:{port} Bearer s"]


def test_a_value_that_may_be_a_secret_is_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "swordfish")
    assert "swordfish" not in refusal({"x": {"command": "no-such-program", "args": ["${KEY}"]}})


def test_tools_are_chosen_and_given_to_workers(http: HttpServer, tmp_path: Path) -> None:
    path = tmp_path / "servers.json"
    servers = {
        "mine": {**http.settings, "type": "http", "tools": ["echo"], "workers": ["researcher", "coder"]},
        "all": {**http.settings, "tools": ["many", "echo"]},
        "off": {"command": "${NO_SUCH}", "disabled": True},
    }
    path.write_text(json.dumps({"mcpServers": servers, "theme": "dark"}))
    found = {worker: [tool.name for tool in tools] for worker, tools in mcp_tools_by_worker(path).items()}
    assert found == {"researcher": ["mine_echo"], "coder": ["mine_echo"], "*": ["all_echo", "all_many"]}
    assert [tool.name for tool in mcp_tools(path)] == ["mine_echo", "all_echo", "all_many"]


@pytest.mark.parametrize("field", [{"tools": ["ecko"]}, {"overrides": {"ecko": {"risk": "read"}}}])
def test_a_setting_for_a_tool_that_there_is_not_is_an_error(http: HttpServer, field: dict[str, Any]) -> None:
    why = refusal({"real": {**http.settings, **field}})
    assert why.startswith("the MCP server 'real' has no tool 'ecko'; it has echo, send_note, look_up")


def test_two_tools_of_one_name_are_refused(http: HttpServer) -> None:
    why = refusal({"a b": {**http.settings, "tools": ["echo"]}, "a-b": {**http.settings, "tools": ["echo"]}})
    assert why.startswith("the MCP servers 'a b' and 'a-b' both have a tool that would be called 'a_b_echo'")


def test_without_the_packages_it_is_said_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp, "find_spec", lambda name: None)
    assert refusal({"x": {"command": "x"}}).endswith("pip install 'agent-task-orchestrator[mcp]'")


def ended(number: int) -> bool:
    """Wait for the end of a process, and return True; its parent collects the exit code in the background."""
    return subprocess.run(["tail", f"--pid={number}", "-f", "/dev/null"], timeout=60, check=False).returncode == 0


def test_a_program_ends_when_its_tools_are_gone() -> None:
    tools = raw("")
    number = pid(tools[0])
    del tools
    gc.collect()
    assert ended(number)


def test_a_stubborn_program_does_not_outlive_the_process_and_does_not_hold_it_up() -> None:
    code = (
        f"import sys; from orchestrator_tools.mcp import mcp_tools\n"
        f"tools = mcp_tools({{'raw': {program('raw', 'stubborn')!r}}})\n"
        f"print(tools[0].invoke({{'a': 'x'}}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stderr == ""
    assert ended(int(done.stdout))
