"""Keys in the rarer places: headers of a user's own model, proxies, databases, TLS, servers of tools, and arguments."""

import json
import logging
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from orchestrator import Supervisor, TaskOrchestrator, Worker
from orchestrator.cli.main import main
from orchestrator.testing import Fault, OpenAIServer, TeamScript
from tests.support.teams import step
from tests.test_redaction import stored

KEY = "Zx8other-Key_0a1b2c3d4e5f"
PASSWORD = "w0rd/pass of bob"
SECRETS = (KEY, KEY[:13], KEY[-8:], PASSWORD, quote(PASSWORD, safe=""))


def assert_clean(*texts: str) -> None:
    for text in texts:
        for secret in SECRETS:
            assert secret not in text, f"{secret}: {text[max(0, text.index(secret) - 300) : text.index(secret) + 60]}"


def printed_by(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        main(command)
    printed = capsys.readouterr()
    return printed.out + printed.err


@pytest.mark.parametrize(
    "header",
    ["Ocp-Apim-Subscription-Key", "X-Auth", "X-Gateway-Token", "Cookie", "X-Client-Secret", "CF-Access-Client"],
)
@pytest.mark.parametrize("echo", ["in an error", "in the answer"])
def test_headers_of_a_users_own_model_are_never_repeated(
    header: str, echo: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    script = TeamScript([step("a")], results={"a": f"I was given {KEY}"}, summary=f"with {KEY}")
    fault = Fault(400, f"{header}: session={KEY} is not allowed") if echo == "in an error" else None
    heard: list[object] = []
    with OpenAIServer(script, faults=lambda _: fault) as server:
        model = ChatOpenAI(
            base_url=server.base_url,
            model="m",
            api_key=SecretStr("k"),
            max_retries=0,
            default_headers={header: f"session={KEY}" if header == "Cookie" else KEY},
        )
        team = TaskOrchestrator(Supervisor(), [Worker("worker", "You work.")], model=model, db=str(tmp_path / "x.db"))
        with team:
            try:
                run = team.run("go", on_event=heard.append, auto_approve=True)
                told = json.dumps(run.to_dict())
            except Exception as error:  # noqa: BLE001 - whatever it is, it is looked through
                told = f"{error!r} {error.__cause__!r}"
    written = [path.read_bytes().decode("utf-8", "replace") for path in tmp_path.rglob("*") if path.is_file()]
    assert_clean(told, str(heard), caplog.text, stored(tmp_path / "x.db"), *written)


def test_the_password_of_a_proxy_is_never_repeated(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    words = f"407 for bob:{PASSWORD} and bob:{quote(PASSWORD, safe='')}, {KEY}"
    with OpenAIServer([], faults=lambda _: Fault(407, words)) as proxy:
        address = proxy.base_url.removesuffix("/v1").replace("://", f"://bob:{quote(PASSWORD, safe='')}@")
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "OPENAI_PROXY"):
            monkeypatch.setenv(name, address)
            monkeypatch.setenv(name.lower(), address)
        command = ["-vv", "run", "go", "--model", "m", "--db", str(tmp_path / "x.db"), "--base-url"]
        told = printed_by([*command, "http://models.example/v1"], capsys)
        azure = printed_by([*command, "https://desk.openai.azure.com/openai/v1"], capsys)
    assert proxy.targets, "the proxy was not reached"
    assert "error: " in told
    assert "error: " in azure
    assert_clean(told, azure, caplog.text)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_the_password_of_a_database_is_never_repeated(
    scheme: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"{scheme}://bob:{quote(PASSWORD, safe='')}@127.0.0.1:1/threads?password={KEY}"
    for command in (["-vv", "threads"], ["threads", "--json"], ["-vv", "run", "go", "--model", "m"]):
        told = printed_by([*command, "--db", url], capsys)
        assert "error: " in told
        assert_clean(told, caplog.text)


def test_a_server_without_tls_is_told_without_the_key(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with OpenAIServer([]) as server:
        url = server.base_url.replace("http://", f"https://bob:{quote(PASSWORD, safe='')}@")
        told = printed_by(
            ["-vv", "run", "go", "--model", "m", "--base-url", url, "--db", str(tmp_path / "x.db")], capsys
        )
    assert "write http:// instead of https://" in told
    assert_clean(told, caplog.text, stored(tmp_path / "x.db"))


def test_the_environment_and_arguments_of_a_tools_server_are_never_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    code = "import os, sys; sys.exit('cannot start with ' + os.environ['DESK_TOKEN'] + ' and ' + sys.argv[-1])"
    server = {"command": sys.executable, "args": ["-c", code, f"--api-key={KEY}"], "env": {"DESK_TOKEN": KEY}}
    file = tmp_path / "mcp.json"
    file.write_text(json.dumps({"mcpServers": {"desk": server}}))
    told = printed_by(
        [
            "-vv",
            "run",
            "go",
            "--model",
            "m",
            "--mcp",
            str(file),
            "--db",
            str(tmp_path / "x.db"),
            "--base-url",
            "http://127.0.0.1:1/v1",
        ],
        capsys,
    )
    assert "error: " in told
    assert_clean(told, caplog.text)
