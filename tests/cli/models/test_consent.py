"""A thread that would go on with another model: asked about at a terminal, otherwise an error with the ways on."""

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.cli.main import main
from orchestrator.testing import OpenAIServer, TeamScript
from tests.support.teams import step
from tests.support.terminal import Terminal

Cli = Callable[..., tuple[int, str, str]]
TEAM = """
from orchestrator import Supervisor, Team, Worker

team = Team(Supervisor(), [Worker("worker", "You work.")])
"""


@pytest.fixture
def local() -> Iterator[OpenAIServer]:
    with OpenAIServer(TeamScript([step("a")], summary="It is 42.")) as server:
        yield server


@pytest.fixture
def cloud() -> Iterator[OpenAIServer]:
    with OpenAIServer(TeamScript([step("a")], summary="It is 42.")) as server:
        yield server


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """Calls a command on this test's database; gives the exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["orchestrator"])  # under `python -m pytest` the commands would begin otherwise
    (tmp_path / "calm_team.py").write_text(TEAM)

    def run(*arguments: str, db: bool = True) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exited:
            main([*arguments, *(["--db", "runs.db"] if db else [])])
        printed = capsys.readouterr()
        return int(str(exited.value.code)), printed.out, printed.err

    return run


@pytest.fixture
def paused(cli: Cli, local: OpenAIServer, cloud: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """A thread that waits for its plan, begun by a shell whose variables named another endpoint than those of now."""
    monkeypatch.setenv("OPENAI_BASE_URL", local.base_url)
    monkeypatch.setenv("ORCHESTRATOR_MODEL", "small")
    assert cli("run", "go", "--team", "calm_team:team", "--thread", "t")[0] == 3
    monkeypatch.setenv("OPENAI_BASE_URL", cloud.base_url)
    monkeypatch.setenv("ORCHESTRATOR_MODEL", "large")
    [review] = json.loads(cli("reviews", "--json")[1])
    return str(review["id"])


@pytest.mark.parametrize(
    "command",
    [
        ("resume", "t"),
        ("resume", "t", "--json"),
        ("resume", "t", "--json-stream"),
        ("decide", "REVIEW", "approve", "--resume"),
        ("chat", "--thread", "t"),
        ("run", "--continue", "t", "And then?"),
        ("run", "--thread", "t", "And then?"),
    ],
    ids=" ".join,
)
def test_unattended_it_is_an_error_with_the_command_for_each_way(
    cli: Cli, paused: str, local: OpenAIServer, cloud: OpenAIServer, command: tuple[str, ...]
) -> None:
    code, _, err = cli(*(paused if word == "REVIEW" else word for word in command))
    assert code == 2
    assert f"thread 't' ran with small at {local.base_url.removesuffix('/v1')}; now it would be large at" in err
    assert cloud.bodies == []
    former, other = (shlex.split(line.partition(": orchestrator ")[2]) for line in err.splitlines()[1:3])
    assert former[-6:] == ["--model", "small", "--base-url", local.base_url, "--db", "runs.db"]
    assert other[-6:] == ["--model", "large", "--base-url", cloud.base_url, "--db", "runs.db"]
    assert "t" in other


def test_the_command_of_each_way_works_and_the_choice_is_kept(
    cli: Cli, paused: str, local: OpenAIServer, cloud: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("decide", paused, "approve")
    _, _, err = cli("resume", "t")
    other = err.splitlines()[2].partition(": orchestrator ")[2]
    code, out, _ = cli(*shlex.split(other), db=False)
    assert (code, out.strip()) == (0, "It is 42.")
    assert len(cloud.bodies) == 2  # the worker and the summary; the plan was made before
    monkeypatch.delenv("ORCHESTRATOR_MODEL")
    monkeypatch.setenv("OPENAI_BASE_URL", local.base_url)
    assert cli("run", "--continue", "t", "And then?", "--auto-approve")[0] == 0  # with what was agreed to


def test_going_back_to_the_former_model_is_no_difference(cli: Cli, paused: str, cloud: OpenAIServer) -> None:
    cli("decide", paused, "approve")
    _, _, err = cli("resume", "t")
    former = err.splitlines()[1].partition(": orchestrator ")[2]
    assert cli(*shlex.split(former), db=False)[0] == 0
    assert cloud.bodies == []


def test_of_the_embedded_model_the_way_back_unsets_the_variables(
    cli: Cli, local: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", local.base_url)
    assert cli("run", "go", "--team", "calm_team:team", "--thread", "t")[0] == 3
    embedded = {"model": "qwen2.5-coder-1.5b", "endpoint": "this machine"}
    from orchestrator import OrchestratorClient

    with OrchestratorClient("runs.db") as client:
        row = dict(client.persistence.store.get(("orchestrator", "threads"), "t").value)
        row["models"] = {"agents": {"supervisor": embedded, "worker": embedded}}
        client.persistence.store.put(("orchestrator", "threads"), "t", row)
    code, _, err = cli("resume", "t")
    assert code == 2
    assert "ran with qwen2.5-coder-1.5b on this machine; now it would be" in err
    assert "`orchestrator model fetch qwen2.5-coder-1.5b` gets it" in err
    assert "env -u OPENAI_API_KEY -u OPENAI_BASE_URL orchestrator resume t --model qwen2.5-coder-1.5b" in err


@pytest.mark.parametrize(("answer", "code"), [("y", 3), ("", 1)])
def test_at_a_terminal_it_is_asked(
    paused: str, local: OpenAIServer, cloud: OpenAIServer, answer: str, code: int
) -> None:
    terminal = Terminal("resume", "t", "--db", "runs.db")
    try:
        told = terminal.expect("Go on with the other model? [y/N]")
        assert "thread 't' ran with small at" in told
        assert cloud.bodies == []
        terminal.type(f"{answer}\n")
        terminal.expect("or Enter to leave it open" if answer else "with the former model: ")
        if answer:
            terminal.type("\n")
        assert terminal.process.wait(60) == code
    finally:
        terminal.close()


def test_show_and_threads_tell_the_model(cli: Cli, paused: str, local: OpenAIServer) -> None:
    small = {"model": "small", "endpoint": local.base_url}
    assert json.loads(cli("threads", "--json")[1])[0]["models"] == {"agents": {"supervisor": small, "worker": small}}
    assert json.loads(cli("show", "t", "--json")[1])["models"]["agents"]["worker"] == small
    assert re.search(r"^model: small at http://127\.0\.0\.1:\d+$", cli("show", "t")[1], re.M)
