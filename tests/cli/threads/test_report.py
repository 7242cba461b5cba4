"""`orchestrator report` writes a thread as a file, in the form that the file's name says."""

import json
from pathlib import Path

import pytest

from tests.cli.test_main import Cli, cli
from tests.support.reported import Shown, lakes

__all__ = ["cli"]


@pytest.fixture(autouse=True)
def database(tmp_path: Path) -> None:
    lakes(tmp_path / "runs.db")


@pytest.mark.parametrize("name", ["run.html", "run.md", "run.json", "RUN.HTML"])
def test_a_file_gets_the_form_that_its_name_says(cli: Cli, tmp_path: Path, name: str) -> None:
    code, out, _ = cli("report", "t", "-o", str(tmp_path / name))
    text = (tmp_path / name).read_text()
    assert (code, out.strip()) == (0, f"wrote {tmp_path / name} ({len(text.encode()):,} bytes)")
    assert text.startswith({"html": "<!DOCTYPE html>", "md": "<a id", "json": "{"}[name.lower().split(".")[1]])
    assert "answer seven lakes" in text
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_stdout_gets_markdown_or_the_form_that_is_named(cli: Cli) -> None:
    assert "## Answer" in cli("report", "t")[1]
    assert "## Answer" in cli("report", "t", "-o", "-")[1]
    assert json.loads(cli("report", "t", "--format", "json")[1])["thread_id"] == "t"
    assert "answer seven lakes" in Shown(cli("report", "t", "--format", "html", "--all")[1]).text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["t", "-o", "run.pdf"], "end it with .html, .md or .json"),
        (["t", "--format", "pdf"], "use one of html, md, json"),
        (["t", "-o", "/nowhere/run.md"], "there is no folder '/nowhere'"),
        (["t", "-o", "/", "--format", "md"], "cannot write '/'"),
        (["t", "--task", "9"], "has no task 9: its newest is 1"),
        (["t", "--task", "1", "--all"], "exclude each other"),
        (["zz"], "there is no thread 'zz'"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(cli: Cli, arguments: list[str], words: str) -> None:
    code, out, err = cli("report", *arguments)
    assert (code != 0, out) == (True, "")
    assert words in err
    assert len(err.strip().splitlines()) == 1
