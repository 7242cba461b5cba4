"""Keys: planted wherever they can be given, in every state that a paste leaves, and repeated by the endpoint."""

import base64
import html
import json
import logging
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from orchestrator_tools.mcp import McpServerError
from orchestrator_tools.mcp.config import read_servers
from pydantic import SecretStr

from orchestrator import ModelSettings, Supervisor, Team, Worker, chat_model
from orchestrator.cli.main import main
from orchestrator.errors import ConfigError
from orchestrator.models.requests.lessons import lessons_folder
from orchestrator.redaction import redact
from orchestrator.runs.loading import equip
from orchestrator.testing import Fault, OpenAIServer, TeamScript, say
from tests.support.teams import step
from tests.test_redaction import stored

KEY = "Qz7plain-Key_9f8e7d6c5b4a"
HALF = "Qz7plain-Key_"  # also what an endpoint that cuts the key must not leave
PASSWORD, PARAMETER = "pa55/w0rd of ada", "Param-0f1e2d3c4b"
FORMS = {
    "whole": KEY,
    "cut": f"{KEY[:18]}",
    "ends": f"{KEY[:6]}************{KEY[-4:]}",
    "dots": f"{KEY[:6]}...{KEY[-4:]}",
    "quoted": quote(PASSWORD, safe=""),
    "base64": base64.b64encode(f"user:{KEY}".encode()).decode(),
    "header": f"Authorization: Bearer {KEY}",
    "hex": KEY.encode().hex(),
}
PLANTED = (KEY, HALF, KEY[-8:], f"{KEY[:6]}*", f"{KEY[:6]}...", PASSWORD, quote(PASSWORD, safe=""), PARAMETER)
IN_BASE64 = tuple(base64.b64encode(b"x" * shift + KEY.encode()).decode()[4:-4] for shift in range(3))


def assert_clean(*texts: str) -> None:
    for text in texts:
        for secret in (*PLANTED, *IN_BASE64, KEY.encode().hex()):
            assert secret not in text, f"{secret}: {text[max(0, text.index(secret) - 300) : text.index(secret) + 60]}"


@pytest.mark.parametrize(
    "pasted",
    [
        f"{KEY}\n",
        f"  {KEY}\r\n",
        f"\ufeff{KEY}",
        f"\u201c{KEY}\u201d",
        f"'{KEY}'",
        f"OPENAI_API_KEY={KEY}",
        f'export OPENAI_API_KEY="{KEY}"\n',
        f"Bearer {KEY}",
        f"\u200b{KEY}\u00a0",
        f"{KEY};",
    ],
)
def test_what_a_paste_leaves_around_a_key_is_taken_off(pasted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer([say("hi"), say("hi")], key=KEY) as server:
        argument = ModelSettings(base_url=server.base_url, model="m", api_key=SecretStr(pasted))
        assert chat_model(argument).invoke("hello").text == "hi"
        monkeypatch.setenv("OPENAI_API_KEY", pasted)
        assert chat_model(ModelSettings(base_url=f" {server.base_url}\n", model="m")).invoke("hello").text == "hi"


@pytest.mark.parametrize("pasted", [" ", "\n", '""', "\ufeff", "OPENAI_API_KEY="])
def test_a_key_of_nothing_counts_as_none(pasted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", pasted)
    assert ModelSettings().api_key is None


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (f"{KEY}\n{KEY}", "more than one line"),
        (f"{KEY} and {KEY}", "a space inside"),
        (f"{KEY[:9]}\u2019{KEY[9:]}", "curly quotes"),
        (f"{KEY}ü{KEY}", "not ASCII"),
        (f"{KEY[:9]}\x07{KEY[9:]}", "control characters"),
        (f"{KEY[:9]}\ufeff{KEY[9:]}", "invisible"),
    ],
)
def test_a_key_that_no_header_holds_is_one_line_that_names_the_variable(
    broken: str, why: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"^api_key has") as error:
        ModelSettings(api_key=SecretStr(broken))
    assert why in str(error.value)
    assert error.value.__context__ is None, "pydantic's error holds the key"
    assert_clean(repr(error.value))
    monkeypatch.setenv("OPENAI_API_KEY", broken)
    with pytest.raises(SystemExit) as exited:
        main(["run", "go", "--db", str(tmp_path / "x.db"), "--model", "m"])
    printed = capsys.readouterr()
    assert exited.value.code == ConfigError.exit_code
    assert printed.err.startswith("error: OPENAI_API_KEY has ")
    assert printed.err.count("\n") == 1
    assert_clean(printed.err, printed.out)


@pytest.mark.parametrize("key", [17, [KEY]], ids=["number", "list"])
def test_a_key_of_another_type_is_not_repeated(key: Any) -> None:
    with pytest.raises(ConfigError, match="api_key has to be a text") as error:
        ModelSettings(api_key=key)
    assert_clean(str(error.value))


ECHOES = [
    *(
        pytest.param(Fault(401, f"Incorrect API key provided: {text}."), id=f"401-{name}")
        for name, text in FORMS.items()
    ),
    pytest.param(Fault(400, raw=json.dumps({"detail": [{"loc": ["header"], "msg": FORMS["header"]}]})), id="list"),
    pytest.param(Fault(502, raw=f"<html><title>{KEY}</title>{html.escape(PASSWORD)}</html>"), id="html"),
    pytest.param(Fault(500, raw=f"{PARAMETER} {FORMS['base64']}"), id="text"),
    pytest.param(Fault(200, raw=json.dumps({"error": {"message": KEY, "code": 401}})), id="inside-200"),
    pytest.param(Fault(200, raw=f"no completion for {KEY}"), id="no-completion"),
]


@pytest.mark.parametrize("fault", [*ECHOES, pytest.param(None, id="in-the-answer")])
def test_no_key_is_written_anywhere(
    fault: Fault | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("ORCHESTRATOR_MAX_RETRIES", "0")
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
    monkeypatch.setenv("TAVILY_API_KEY", f"{KEY}")
    script = TeamScript([step("a", agent="researcher")], results={"a": f"all of {' '.join(FORMS.values())}"})
    db = tmp_path / "x.db"
    with OpenAIServer(script, faults=lambda _: fault) as server:
        url = server.base_url.replace("://", f"://ada:{quote(PASSWORD, safe='')}@") + f"?api-key={PARAMETER}"
        for command in (
            ["-vv", "run", "go", "--thread", "t", "--auto-approve", "--model", "m", "--base-url", url],
            ["-vv", "run", "go", "--thread", "j", "--json", "--model", "m", "--base-url", url],
            ["-vv", "run", "go", "--thread", "s", "--json-stream", "--auto-approve", "--model", "m", "--base-url", url],
            ["-vv", "resume", "t", "--base-url", url],
            ["resume", "j", "--json", "--base-url", url],
            ["show", "t"],
            ["show", "t", "--json"],
            ["show", "s", "--json"],
            ["threads"],
            ["threads", "--json"],
            ["reviews", "j", "--json"],
        ):
            with pytest.raises(SystemExit):
                main([*command, "--db", str(db)])
        assert server.bodies, "the endpoint was not reached"
        assert f"api-key={PARAMETER}" in server.targets[-1], "the parameter goes with each request"
    printed = capsys.readouterr()
    written = [path.read_bytes().decode("utf-8", "replace") for path in tmp_path.rglob("*") if path.is_file()]
    lessons = [path.read_text() for path in lessons_folder().rglob("*.json")]
    assert_clean(printed.out, printed.err, caplog.text, stored(db), *written, *lessons)


def test_the_headers_of_a_tools_server_are_stripped_and_never_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_HEADER", f" '{KEY}'\n")
    server = {"url": "http://127.0.0.1:1/mcp", "headers": {"X-Desk": "${DESK_HEADER}"}}
    assert read_servers({"desk": server})["desk"].headers == {"X-Desk": KEY}
    monkeypatch.setenv("DESK_HEADER", f"{KEY}\n{KEY}")
    with pytest.raises(McpServerError, match="'X-Desk' has line ends") as error:
        read_servers({"desk": server})
    assert_clean(str(error.value), repr(error.value.__cause__))
    monkeypatch.setenv("DESK_HEADER", KEY)
    file = tmp_path / "mcp.json"
    file.write_text(json.dumps({"mcpServers": {"desk": server}}))
    with pytest.raises(ConfigError):  # nothing listens there
        equip(Team(Supervisor(), [Worker("desk", "You work.")]), str(file), None)
    assert redact(f"echo {KEY}") == "echo ***"


def test_what_only_resembles_a_secret_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_KEY", "production-service-key-1")
    assert redact("the production ... of 12 services") == "the production ... of 12 services"
    assert redact("production-service-key-1") == "***"
