"""Ctrl-C at a terminal: the prompt comes back, whatever hangs, and one line says how the thread goes on."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.cli.interruption import EXIT_INTERRUPTED
from orchestrator.cli.main import main
from orchestrator.runs.threads.listing import list_threads
from orchestrator.testing import Gate, OpenAIServer, Reply, Request, Script, TeamScript, call, say
from tests.support.teams import step
from tests.support.terminal import Terminal

CTRL_C = "\x03"
HANGS_S = 600
"""What hangs would hang for so long. The tests wait for a part of it."""

TEAM = f"""
import sys, time
from orchestrator import Supervisor, Team, Worker, declare

@declare(risk="read")
def hang_in_a_thread() -> str:
    "Hang."
    print("it hangs", file=sys.stderr, flush=True)
    while True:
        try:
            time.sleep({HANGS_S})
        except BaseException:
            pass

@declare(risk="read")
async def hang_on_the_loop() -> str:
    "Hang."
    return hang_in_a_thread()

team = Team(Supervisor(), [Worker("worker", "You work.", tools=[hang_in_a_thread, hang_on_the_loop])])
"""
PLAN = [step("a")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hanging.py").write_text(TEAM)
    return tmp_path


@contextmanager
def run(
    script: Script | TeamScript, folder: Path, *options: str, team: str = "hanging", grace_s: float = 60
) -> Iterator[Terminal]:
    with OpenAIServer(script) as server:
        arguments = ("--db", str(folder / "x.db"), "--thread", "t", "--base-url", server.base_url)
        terminal = Terminal("run", "go", "--team", f"{team}:team", *arguments, *options, grace_s=grace_s)
        try:
            yield terminal
        finally:
            terminal.close()


def assert_gives_the_prompt_back(terminal: Terminal, line: str) -> None:
    terminal.expect(line)
    assert terminal.process.wait(HANGS_S / 10) == EXIT_INTERRUPTED


def assert_resumable(folder: Path) -> None:
    [record] = list_threads(folder / "x.db")
    assert (record.id, record.status) == ("t", "interrupted")
    script = TeamScript(PLAN, summary="Done.")
    with OpenAIServer(script) as server:
        terminal = Terminal("resume", "t", "--db", str(folder / "x.db"), "--base-url", server.base_url)
        try:
            while terminal.process.poll() is None:
                terminal.expect("or Enter to leave it open: ")
                terminal.type("approve\n")
                if "Done." in terminal.expect(" · thread t"):
                    break
            assert terminal.process.wait(60) == 0
        finally:
            terminal.close()


WAY_ON = "interrupted; go on with: "


def test_while_the_plan_is_being_made(folder: Path) -> None:
    gate = Gate()

    def held(request: Request) -> Reply:
        return say("{}").behind(gate)

    with run(held, folder) as terminal:
        assert gate.entered.wait(120)
        terminal.type(CTRL_C)
        assert_gives_the_prompt_back(terminal, WAY_ON)
        gate.release()
    assert_resumable(folder)


@pytest.mark.parametrize("tool", ["hang_in_a_thread", "hang_on_the_loop"])
def test_while_a_tool_hangs(folder: Path, tool: str) -> None:
    # A hung thread is left alone, and a hung loop ends with the process.
    grace_s = 60 if tool == "hang_in_a_thread" else 1.5
    with run(TeamScript(PLAN, results={"a": call(tool)}), folder, "--auto-approve", grace_s=grace_s) as terminal:
        terminal.expect("it hangs")
        terminal.type(CTRL_C)
        assert_gives_the_prompt_back(terminal, WAY_ON)
    assert list_threads(folder / "x.db")[0].status == "interrupted"


def test_while_a_question_is_open(folder: Path) -> None:
    with run(TeamScript(PLAN), folder) as terminal:
        terminal.expect("or Enter to leave it open: ")
        terminal.type(CTRL_C)
        assert_gives_the_prompt_back(terminal, WAY_ON)


def test_while_the_team_is_being_loaded(folder: Path) -> None:
    loading = "import sys, time\nprint('it loads', file=sys.stderr, flush=True)\n"
    loading += f"while True:\n    try:\n        time.sleep({HANGS_S})\n    except BaseException:\n        pass\n"
    (folder / "slow.py").write_text(loading)
    with run(TeamScript(PLAN), folder, team="slow", grace_s=1.5) as terminal:
        terminal.expect("it loads")
        terminal.type(CTRL_C)
        assert_gives_the_prompt_back(terminal, "interrupted before the run began; start it again")
    assert list_threads(folder / "x.db") == []


def test_a_second_one_ends_it_at_once(folder: Path) -> None:
    with run(TeamScript(PLAN, results={"a": call("hang_on_the_loop")}), folder, "--auto-approve") as terminal:
        terminal.expect("it hangs")
        terminal.type(CTRL_C + CTRL_C)
        assert_gives_the_prompt_back(terminal, WAY_ON)


def test_while_the_embedded_model_holds_pythons_lock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = (
        "import ctypes, sys\nfrom types import SimpleNamespace\n"
        "class CommonParams(SimpleNamespace):\n    def __init__(self):\n        self.model = SimpleNamespace()\n"
        "def Server(params):\n    print('it loads', file=sys.stderr, flush=True)\n"
        f"    ctypes.PyDLL(None).sleep({HANGS_S})\n"  # PyDLL keeps Python's lock while it calls
    )
    (folder / "xllamacpp.py").write_text(engine)
    (folder / "weights.gguf").write_text("")
    monkeypatch.setenv("ORCHESTRATOR_MODEL_PATH", str(folder / "weights.gguf"))
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    terminal = Terminal("run", "go", "--db", str(folder / "x.db"))
    try:
        terminal.expect("it loads")
        terminal.type(CTRL_C)
        assert terminal.process.wait(HANGS_S / 10) == -signal.SIGINT
    finally:
        terminal.close()
    assert list_threads(folder / "x.db") == []


def test_in_an_editor_it_is_the_editors(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = folder / "editor.sh"
    editor.write_text("#!/bin/sh\ntrap 'echo it is mine; exit 1' INT\necho it is open\nwhile :; do sleep 0.1; done\n")
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(editor))
    monkeypatch.delenv("VISUAL", raising=False)
    with run(TeamScript(PLAN), folder) as terminal:
        terminal.expect("or Enter to leave it open: ")
        terminal.type("edit\n")
        terminal.expect("it is open")
        terminal.type(CTRL_C)
        terminal.expect("it is mine")
        terminal.expect("or Enter to leave it open: ")
        terminal.type(CTRL_C)
        assert_gives_the_prompt_back(terminal, WAY_ON)


def test_a_program_that_calls_the_command_line_keeps_its_own_ctrl_c(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit):
        main(["--version"])
    assert signal.getsignal(signal.SIGINT) is before
