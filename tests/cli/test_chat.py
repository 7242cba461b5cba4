"""`orchestrator run --continue` and `orchestrator chat`: one task after the other on one thread."""

import io
import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.cli.main import main
from orchestrator.testing import Gate, OpenAIServer, TeamScript, say
from tests.support.teams import step
from tests.support.terminal import Terminal

Cli = Callable[..., tuple[int, str, str]]
PLAN = [step("t1", agent="researcher")]
FIRST, SECOND = "How many people live in Iceland?", "And in Uruguay?"


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """Calls a command on this test's database, with lines on stdin; gives the exit code, stdout and stderr."""

    def run(*arguments: str, lines: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(lines))
        with pytest.raises(SystemExit) as exited:
            main([*arguments, "--db", str(tmp_path / "runs.db")])
        printed = capsys.readouterr()
        return int(str(exited.value.code)), printed.out, printed.err

    return run


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(TeamScript(PLAN, summary="364,134 [t1]")) as opened:
        yield opened


def asked(server: OpenAIServer) -> str:
    """The last request."""
    return str(server.bodies[-1]["messages"][-1]["content"])


def test_a_thread_is_continued_with_the_team_and_model_that_it_recorded(cli: Cli, server: OpenAIServer) -> None:
    assert cli("run", FIRST, "--base-url", server.base_url, "--thread", "u", "--auto-approve")[0] == 0
    code, out, err = cli("run", "--continue", "u", SECOND, "--auto-approve")
    assert (code, out.strip()) == (0, "364,134")
    assert "tokens in 2 tasks" in err
    assert f"Task 1: {FIRST}" in asked(server)
    found = json.loads(cli("show", "u", "--json")[1])
    assert [turn["task"] for turn in found["turns"]] == [FIRST]
    shown = cli("show", "u")[1]
    assert f"task 1: {FIRST}\n  364,134\ntask 2: {SECOND}" in shown


def test_last_is_the_thread_that_changed_last(cli: Cli, server: OpenAIServer) -> None:
    for thread in ("old", "new", "old"):
        cli("run", f"task of {thread}", "--base-url", server.base_url, "--thread", thread, "--auto-approve")
    assert cli("run", "--continue", "last", SECOND, "--auto-approve", "--json")[0] == 0
    assert [turn["task"] for turn in json.loads(cli("show", "old", "--json")[1])["turns"]] == ["task of old"] * 2


def test_an_approval_in_advance_is_not_continued(cli: Cli, server: OpenAIServer) -> None:
    cli("run", FIRST, "--base-url", server.base_url, "--thread", "t", "--auto-approve")
    assert cli("run", "--continue", "t", SECOND)[0] == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--continue", "nowhere", SECOND), "there is no thread 'nowhere'"),
        (("--continue", "last", SECOND), "there is no thread to continue yet"),
        (("--continue", "t", "--thread", "u", SECOND), "leave --thread out"),
        (("--continue", "t", " "), "the task is empty"),
    ],
)
def test_what_cannot_be_continued_is_one_line(cli: Cli, arguments: tuple[str, ...], said: str) -> None:
    code, _, err = cli("run", *arguments)
    assert code in (1, 2)
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize("named", ["schema.json", "own_types:Country"])
def test_an_answer_of_a_schema_is_json(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.chdir(tmp_path)
    schema = {"type": "object", "properties": {"people": {"type": "integer"}}, "required": ["people"]}
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    (tmp_path / "own_types.py").write_text(
        "from typing_extensions import TypedDict\nclass Country(TypedDict):\n    people: int\n"
    )
    with OpenAIServer(TeamScript(PLAN, summary={"people": 364134})) as server:
        start = ("run", FIRST, "--base-url", server.base_url, "--output-schema", named, "--auto-approve")
        code, out, _ = cli(*start)
        assert (code, json.loads(out)) == (0, {"people": 364134})
        assert json.loads(cli(*start, "--json")[1])["output"] == {"people": 364134}


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("nowhere.json", "cannot read the schema nowhere.json"),
        ("nowhere:Type", "no type 'nowhere:Type'"),
        ("list.json", "holds no JSON schema"),
        ("broken.json", "is not JSON"),
        ("wrong.json", "is no JSON schema"),
    ],
)
def test_a_schema_that_is_none_is_one_line(
    cli: Cli, server: OpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("list.json", "[]"), ("broken.json", "{"), ("wrong.json", '{"type": 5}')):
        (tmp_path / name).write_text(text)
    code, _, err = cli("run", FIRST, "--base-url", server.base_url, "--output-schema", named)
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert server.bodies == []


def test_chat_takes_each_line_of_a_pipe_as_a_task(cli: Cli, server: OpenAIServer) -> None:
    lines = f"{FIRST}\n\n{SECOND}\n/show\n/nonsense\n"
    code, out, err = cli("chat", "--base-url", server.base_url, "--auto-approve", lines=lines)
    assert code == 0
    assert out.splitlines()[:2] == ["364,134", "364,134"]
    assert f"task 1: {FIRST}" in out
    assert "there is no command /nonsense" in err
    [thread] = set(re.findall(r"chat --thread (\S+)", err))
    code, out, _ = cli("chat", "--thread", thread, "--auto-approve", lines="And in Chile?\n")
    assert (code, out.strip()) == (0, "364,134")
    assert f"Task 2: {SECOND}" in asked(server)


def test_chat_stops_at_the_first_line_of_a_pipe_that_waits(cli: Cli, server: OpenAIServer) -> None:
    code, out, _ = cli("chat", "--base-url", server.base_url, "--thread", "t", lines=f"{FIRST}\n{SECOND}\n")
    assert code == 3
    assert "decide t/" in out
    assert len(server.bodies) == 1


def test_at_a_terminal_reviews_are_asked_and_ctrl_c_gives_the_prompt_back(tmp_path: Path) -> None:
    gate = Gate()
    script = TeamScript(PLAN, results={"t1": say("364,134").behind(gate)}, summary="364,134 [t1]")
    with OpenAIServer(script) as server:
        terminal = Terminal("chat", "--base-url", server.base_url, "--db", str(tmp_path / "runs.db"))
        terminal.expect("> ")
        terminal.type(f"{FIRST}\n")
        terminal.expect("or Enter to leave it open: ")
        terminal.type("approve\n")
        assert gate.entered.wait(120)
        terminal.process.send_signal(signal.SIGINT)
        terminal.expect("interrupted: /resume goes on with it")
        terminal.expect("> ")
        terminal.type(f"{SECOND}\n")
        terminal.expect("/resume goes on with a task that is not finished")
        gate.release()
        terminal.type("/resume\n")
        terminal.expect("done · ")
        terminal.expect("> ")
        terminal.type("\x04")
        terminal.expect("go on with: ")
        assert terminal.process.wait(60) == 0
