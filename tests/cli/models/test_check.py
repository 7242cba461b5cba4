"""`orchestrator model check`: a table, JSON, an exit code, and one clear line where nothing can be asked."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from orchestrator.cli.main import main
from orchestrator.testing import Gate, OpenAIServer, say
from orchestrator.testing.dialects.catalogue import DIALECTS
from orchestrator.testing.openai_server import Fault
from tests.support.checked import capable

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exited:
            main(["model", "check", *arguments])
        printed = capsys.readouterr()
        return int(str(exited.value.code)), printed.out, printed.err

    return run


def test_a_table_of_80_columns_says_what_works_and_how(cli: Cli) -> None:
    dialect = DIALECTS["ollama with a model without tools"]
    with OpenAIServer(capable, dialect=dialect) as server:
        code, out, err = cli("--base-url", server.base_url, "--model", dialect.model)
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == f"{dialect.model} at {server.base_url}"
    assert max(map(len, lines)) <= 80
    rows = {row[0].strip(): row[1].strip() for line in lines if len(row := line.split("│")) > 1}
    assert (rows["chat"], rows["tools"], rows["streaming"]) == ("yes", "otherwise", "yes")
    assert "tool calls as JSON in words" in out
    assert "does not support tools" in out.replace("\n", "")
    assert lines[-1] == "a team can work with it"
    assert err.splitlines()[:2] == ["checking: chat", "checking: tools"]


def test_json_is_one_object(cli: Cli) -> None:
    with OpenAIServer(capable, dialect=DIALECTS["vllm"]) as server:
        code, out, _ = cli("--base-url", server.base_url, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["window"] == {"tokens": 32_768, "source": "the endpoint's list of models"}
    assert [each["finding"] for each in found["requests"]] == ["native"] * 6


def test_where_no_team_could_work_the_exit_code_is_1(cli: Cli) -> None:
    with OpenAIServer(lambda request: say("words")) as server:
        code, out, _ = cli("--base-url", server.base_url)
    assert code == 1
    assert out.splitlines()[-1] == "no team can work with it: no tools, no tool results, no JSON plan"


@pytest.mark.parametrize(
    ("fault", "told"),
    [(Fault(401, "bad key"), "refuses the key (bad key)"), (Fault(404, "not here"), "check --model and --base-url")],
)
def test_a_wrong_key_or_path_is_one_line(cli: Cli, fault: Fault, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-wrong-key")
    with OpenAIServer(capable, faults=lambda _: fault) as server:
        code, out, err = cli("--base-url", server.base_url)
    assert (code, out) == (1, "")
    assert told in err.splitlines()[-1]
    assert len(err.splitlines()) == 2  # the progress, and the error


def test_a_dead_port_is_one_line(cli: Cli) -> None:
    code, out, err = cli("--base-url", "http://127.0.0.1:9/v1", "--model", "m")
    assert (code, out) == (1, "")
    assert "error: cannot reach http://127.0.0.1:9/v1" in err


def test_a_server_that_hangs_ends_at_the_time_limit(cli: Cli) -> None:
    gate = Gate()
    with OpenAIServer(lambda request: say("late").behind(gate)) as server:
        code, _, err = cli("--base-url", server.base_url, "--timeout", "1")
        gate.release()
    assert code == 1
    assert "in time" in err


def test_ctrl_c_ends_it_without_a_traceback() -> None:
    gate = Gate()
    with OpenAIServer(lambda request: say("late").behind(gate)) as server:
        command = [sys.executable, "-m", "orchestrator", "model", "check", "--base-url", server.base_url]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert gate.entered.wait(60)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        gate.release()
    assert process.returncode == 130
    assert "Traceback" not in err


@pytest.mark.parametrize("options", [("--timeout", "0"), ("--nonsense",)])
def test_wrong_use_is_exit_code_2(cli: Cli, options: tuple[str, ...]) -> None:
    with OpenAIServer(capable) as server:
        code, _, _ = cli("--base-url", server.base_url, *options)
    assert code == 2
