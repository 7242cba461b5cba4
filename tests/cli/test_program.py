"""The program itself: its version, `python -m orchestrator`, and completion in shells."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import orchestrator
from orchestrator.cli.echo import command
from orchestrator.testing import OpenAIServer, TeamScript
from tests.support.teams import step

# Each takes from a fifth of a second to two seconds of CPU to load. Typer loads pydantic by itself.
HEAVY = ("langgraph", "langchain", "langchain_core", "langsmith", "openai", "numpy", "orchestrator.runs.run")


def run(*arguments: str, heavy: tuple[str, ...] = HEAVY, code: int = 0, **environment: str) -> list[str]:
    """The lines that `python -m orchestrator` prints; the last one lists the heavy modules that it loaded."""
    script = (
        f"import atexit, sys; atexit.register(lambda: print([m for m in {heavy} if m in sys.modules]));"
        "import runpy; runpy.run_module('orchestrator', run_name='__main__', alter_sys=True)"
    )
    env = {**os.environ, **environment}
    done = subprocess.run([sys.executable, "-c", script, *arguments], env=env, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done.stdout.splitlines()


def test_it_prints_its_version() -> None:
    assert run("--version") == [f"orchestrator {orchestrator.__version__}", "[]"]


@pytest.mark.parametrize(
    ("shell", "typed", "offered"),
    [
        ("bash", {"COMP_WORDS": "orchestrator re", "COMP_CWORD": "1"}, ["resume", "reviews"]),
        ("bash", {"COMP_WORDS": "orchestrator run --max-t", "COMP_CWORD": "2"}, ["--max-tokens", "--max-time"]),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "orchestrator mod"}, ["model"]),
        ("fish", {"_TYPER_COMPLETE_ARGS": "orchestrator mod", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}, ["model"]),
    ],
)
def test_a_shell_is_offered_commands_and_options_without_loading_anything_heavy(
    shell: str, typed: dict[str, str], offered: list[str]
) -> None:
    *lines, heavy = run(_ORCHESTRATOR_COMPLETE=f"complete_{shell}", **typed)
    assert all(any(word in line for line in lines) for word in offered)
    assert not any("delete" in line for line in lines)
    assert heavy == "[]"


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not there")
def test_bash_completes_with_the_script_that_is_shown(tmp_path: Path) -> None:
    program = tmp_path / "orchestrator"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m orchestrator "$@"\n')
    program.chmod(0o755)
    (tmp_path / "completion.sh").write_text("\n".join(run("--show-completion", "bash")[:-1]))
    typed = 'COMP_WORDS=(orchestrator res); COMP_CWORD=1; _orchestrator_completion orchestrator; echo "${COMPREPLY[@]}"'
    env = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    shell = ["bash", "-c", f". {tmp_path}/completion.sh; {typed}"]
    assert subprocess.run(shell, env=env, capture_output=True, text=True, check=True).stdout.strip() == "resume"


def test_under_python_m_the_commands_that_are_printed_are_called_so_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/some/where/orchestrator/__main__.py", "reviews"])
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert command("resume", "t 1") == f"{sys.executable} -m orchestrator resume 't 1'"
    monkeypatch.setattr(shutil, "which", lambda _: sys.executable)
    assert command("resume", "t 1") == f"{Path(sys.executable).name} -m orchestrator resume 't 1'"


COMMANDS = ("run", "chat", "resume", "cancel", "steer", "reviews", "decide", "threads", "show", "graph", "tools")


@pytest.mark.parametrize("names", [[], *([name] for name in COMMANDS), ["delete"], ["model"], ["model", "check"]])
def test_help_loads_nothing_heavy(names: list[str]) -> None:
    assert run(*names, "--help", heavy=(*HEAVY, "rich"))[-1] == "[]"


def test_looking_at_threads_and_at_the_models_loads_nothing_heavy(tmp_path: Path) -> None:
    db = ["--db", str(tmp_path / "runs.db")]
    with OpenAIServer(TeamScript([step("a", agent="researcher")], summary="Done.")) as server:
        run("run", "x", "--base-url", server.base_url, "--auto-approve", *db, "--thread", "t")
    *lines, heavy = run("threads", *db)
    assert lines[0].startswith("t  done")
    assert heavy == "[]"
    assert run("reviews", *db) == ["nothing waits for a human", "[]"]
    assert run("model", "list")[-1] == "[]"


FRAMEWORKS = ("langgraph", "langchain_core", "langsmith", "openai", "httpx2", "numpy", "genai_prices")
LOOKS = (["show", "t"], ["show", "t", "a"], ["log", "t"], ["log", "t", "--json"], ["graph", "t"], ["reviews", "t"])


def test_whatever_only_looks_at_a_thread_loads_no_framework(tmp_path: Path) -> None:
    db = ["--db", str(tmp_path / "runs.db")]
    with OpenAIServer(TeamScript([step("a", agent="researcher", approval=True), step("b", agent="coder")])) as server:
        run("run", "x", "--base-url", server.base_url, *db, "--thread", "plan", code=3)
        run("run", "x", "--base-url", server.base_url, *db, "--thread", "t", code=3)
        run("decide", run("reviews", "t", "--json", *db)[0].split('"')[3], "approve", *db)
        run("resume", "t", *db, code=3)
        for looking in (*LOOKS, ["audit", "verify", "t"], ["reviews"], ["show", "plan"], ["graph", "plan"]):
            assert run(*looking, *db, heavy=FRAMEWORKS)[-1] == "[]", looking
        assert "approve" in "".join(run("reviews", "t", *db))
        assert run("watch", "t", *db, heavy=FRAMEWORKS, code=3)[-1] == "[]"
        assert run("show", "nothing", *db, heavy=FRAMEWORKS, code=2)[-1] == "[]"
