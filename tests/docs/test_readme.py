"""The README's blocks, executed; and what it names is there."""

import re
import subprocess
from pathlib import Path

import pytest
from pytest_examples import CodeExample, EvalExample, find_examples

from orchestrator.testing import OpenAIServer, TeamScript, call, say
from tests.support.teams import step

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
PLAN = [
    step("coasts", agent="researcher"),
    step("age", agent="clerk"),
    step("check", "coasts", "age", agent="reviewer"),
]


PYTHON_BLOCKS = [example for example in find_examples(ROOT / "README.md") if example.prefix == "python"]


@pytest.mark.parametrize("example", PYTHON_BLOCKS, ids=str)
def test_the_python_blocks_run_as_they_stand(
    example: CodeExample,
    eval_example: EvalExample,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    results = {
        "coasts": [call("search_documents", query="coastline"), say("New Zealand: 15,134 km.")],
        "age": [call("days_between", first="2024-02-01", last="2024-03-01"), say("29 days.")],
    }
    with OpenAIServer(TeamScript(PLAN, results=results, summary="New Zealand [coasts].")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        eval_example.run(example)
    assert any("29" in str(body["messages"][-1]["content"]) for body in server.bodies), "its own tool was called"
    assert capsys.readouterr().out.splitlines()[-1] == "New Zealand."


def test_every_make_target_that_it_names_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"`?make ([a-z-]+)", README)) <= targets


def test_every_command_and_option_that_it_names_is_there() -> None:
    from typer.main import get_command

    from orchestrator.cli.commands import app

    commands = get_command(app).commands  # type: ignore[attr-defined]
    block = README.split("## On the command line")[1].split("```")[1]
    named = set(re.findall(r"^orchestrator (\w+)", block, re.M)) | set(re.findall(r"\| (\w+)", block))
    assert named - {"edit", "reject", "stop", "answer", "file"} <= set(commands)
    options = {option for command in commands.values() for p in command.params for option in p.opts}
    assert set(re.findall(r"--[a-z-]+", block)) <= options


def test_every_file_that_it_links_is_there() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_first_thing_that_make_says_is_how_to_use_it() -> None:
    done = subprocess.run(["make", "-C", str(ROOT), "help"], capture_output=True, text=True, check=True)
    assert "make run" in done.stdout
    assert "make test" in done.stdout
