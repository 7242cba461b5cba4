"""`orchestrator init`: what it makes runs, passes its own tests and every check, and no file is written over."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.cli.project.settings import project_file
from orchestrator.cli.project.trust import is_trusted
from orchestrator.testing import OpenAIServer, TeamScript, call
from tests.cli.project.test_config import folder
from tests.cli.test_main import Cli, cli
from tests.support.studio import Studio

__all__ = ["cli", "folder"]

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = TeamScript(
    [{"id": "text", "description": "Write.", "target_agent": "writer"}],
    results={"text": [call("count_words", text="Good morning"), "Good morning"]},
    summary="Good morning [text]",
)
FILES = {".gitignore", "README.md", "langgraph.json", "my_team.py", "orchestrator.toml", "pyproject.toml"}


@pytest.fixture
def project(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    code, out, err = cli("init", "My Project", db=False)
    assert code == 0, err
    assert "cd 'My Project' && " in out
    monkeypatch.chdir(folder / "My Project")
    for name in ("my_team", "test_my_team"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return folder / "My Project"


def checked(project: Path, *command: str) -> None:
    path = os.pathsep.join(str(ROOT / part) for part in (".", "graphs", "tools"))
    env = {**os.environ, "PYTHONPATH": path, "MYPYPATH": path}
    done = subprocess.run([sys.executable, "-m", *command], cwd=project, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_passes_its_own_tests_and_every_check(project: Path) -> None:
    assert {path.name for path in project.iterdir()} == {*FILES, "test_my_team.py"}
    checked(project, "pytest", "-q", "-p", "no:cacheprovider")
    checked(project, "ruff", "check", "--no-cache", ".")
    checked(project, "ruff", "format", "--no-cache", "--check", ".")
    checked(project, "mypy", "--follow-imports", "silent", "my_team.py", "test_my_team.py")


def test_it_runs_at_once_by_its_own_settings(project: Path, cli: Cli) -> None:
    file = project_file(project)
    assert file is not None
    assert is_trusted(file)
    with OpenAIServer(SCRIPT) as server:
        code, out, err = cli("run", "Greet.", "--base-url", server.base_url, "--auto-approve", db=False)
    assert (code, out.strip()) == (0, "Good morning"), err
    assert (project / "runs.db").is_file()
    assert cli("threads", "--team", "my_team:team", db=False)[1].startswith("greet-")
    [own, *_] = json.loads(cli("teams", "--json", db=False)[1])
    assert (own["team"], own["default"]) == ("my_team:team", True)
    assert own["workers"] == {"writer": ["count_words"], "reviewer": []}


def test_langgraphs_server_loads_it(project: Path) -> None:
    with OpenAIServer(SCRIPT) as server:
        studio = Studio(project, server.base_url, config=project / "langgraph.json")
        studio.start()
        try:
            names = {assistant["graph_id"] for assistant in studio.client.assistants.search()}
        finally:
            studio.end()
    assert names == {"my_team"}


def test_it_writes_over_nothing_and_then_writes_nothing(cli: Cli, folder: Path) -> None:
    (folder / "my_team.py").write_text("mine")
    code, _, err = cli("init", db=False)
    assert code == 2
    assert "has my_team.py already, and nothing is written over" in err
    assert [path.name for path in folder.iterdir()] == ["my_team.py"]
    assert (folder / "my_team.py").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_one_line(cli: Cli, folder: Path) -> None:
    (folder / "file").write_text("")
    code, _, err = cli("init", "file/below", db=False)
    assert code == 2
    assert "cannot write into file/below" in err


def test_the_teams_that_ship_are_listed_with_what_they_need(cli: Cli, folder: Path) -> None:
    out = cli("teams", db=False)[1]
    assert "research_team  (the default here)" in out
    assert "ORCHESTRATOR_DATABASE" in out
    assert "search_documents, read_document" in out
    (folder / "broken.py").write_text("import nothing_of_this_name")
    rows = json.loads(cli("teams", "--team", "broken:team", "--json", db=False)[1])
    assert "nothing_of_this_name" in rows[0]["problem"]
    assert len(rows) > 3
