"""The configuration file: its place, the order of the sources, its errors, and trust."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.cli.project.settings import SETTINGS
from orchestrator.runs.threads.listing import list_threads
from orchestrator.testing import OpenAIServer, TeamScript
from tests.cli.test_main import Cli, cli
from tests.support.teams import step

__all__ = ["cli"]

TEAM = "from orchestrator import Supervisor, Team, Worker\nteam = Team(Supervisor(), [Worker('worker', 'You work.')])\n"
KEY = "sk-this-is-a-secret-0123"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project's folder, in which nothing is configured; the environment is restored afterwards."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for variable in {"OPENAI_API_KEY", "ORCHESTRATOR_CONFIG", *(each.variable for each in SETTINGS)} - {""}:
        monkeypatch.delenv(variable, raising=False)
    before = dict(os.environ)
    yield folder
    for variable in os.environ.keys() - before.keys():
        del os.environ[variable]


def values(cli: Cli) -> dict[str, tuple[object, str]]:
    code, out, err = cli("config", "--json", db=False)
    assert code == 0, err
    return {row["name"]: (row["value"], row["source"]) for row in json.loads(out)["settings"]}


def test_an_option_goes_before_the_environment_the_environment_before_dotenv_and_that_before_the_file(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, dotenv = folder / "orchestrator.toml", folder / ".env"
    assert values(cli)["model"] == (None, "default")
    file.write_text('model = "of the file"')
    cli("config", "--trust", db=False)
    assert values(cli)["model"] == ("of the file", str(file))
    dotenv.write_text("ORCHESTRATOR_MODEL='of dotenv'")
    cli("config", "--trust", db=False)
    assert values(cli)["model"] == ("of dotenv", str(dotenv))
    monkeypatch.setenv("ORCHESTRATOR_MODEL", "of the environment")
    assert values(cli)["model"] == ("of the environment", "environment, ORCHESTRATOR_MODEL")
    with OpenAIServer(TeamScript([step("a", agent="researcher")])) as server:
        for options, model in (([], "of the environment"), (["--model", "of an option"], "of an option")):
            cli("run", "x", "--base-url", server.base_url, "--auto-approve", *options)
            assert server.bodies[-1]["model"] == model


def test_a_project_runs_from_its_file_alone_in_every_folder_below(cli: Cli, folder: Path, tmp_path: Path) -> None:
    (folder / "own_team.py").write_text(TEAM)
    below = folder / "a" / "b"
    below.mkdir(parents=True)
    os.chdir(below)
    with OpenAIServer(TeamScript([step("a")], summary="Done.")) as server:
        (folder / "orchestrator.toml").write_text(
            f'team = "own_team:team"\nbase_url = "{server.base_url}"\ndb = "own.db"\n[budget]\nmax_calls = 7\n'
        )
        assert cli("config", "--trust", db=False)[0] == 0
        code, out, err = cli("run", "x", "--auto-approve", "--thread", "t", db=False)
        assert (code, out.strip()) == (0, "Done."), err
    assert [record.about["team"] for record in list_threads(folder / "own.db")] == ["own_team:team"]
    assert cli("threads", db=False)[1].startswith("t  done")
    limits = json.loads(cli("run", "--explain-limits", "--json", db=False)[1])
    assert limits["budget"]["model_calls"] == 7


def test_a_table_of_pyproject_holds_and_the_nearest_file_does(cli: Cli, folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.orchestrator]\nmodel = "of pyproject"')
    cli("config", "--trust", db=False)
    assert values(cli)["model"] == ("of pyproject", str(folder / "pyproject.toml"))
    below = folder / "below"
    below.mkdir()
    (below / "pyproject.toml").write_text("# not [tool.orchestrator]\n[tool.orchestrator-tests]\nmodel = 1")
    os.chdir(below)
    assert values(cli)["model"][0] == "of pyproject"
    (below / "orchestrator.toml").write_text('model = "nearer"')
    cli("config", "--trust", db=False)
    assert values(cli)["model"][0] == "nearer"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('modle = "x"', "there is no setting 'modle': did you mean 'model'?"),
        ("[budget]\nmax_token = 5", "there is no setting 'budget.max_token': did you mean 'budget.max_tokens'?"),
        ('api_key = "sk-1"', "there is no setting 'api_key': use one of team, model,"),
        ("budget = 5", "'budget' is a table: write [budget]"),
        ("model = 5", "'model' is 5, and has to be a text"),
        ("fallback_models = [1]", "has to be a list of texts"),
        ("[budget]\nmax_calls = true", "has to be a whole number"),
        ("model = ", "is not TOML"),
    ],
)
def test_a_mistake_in_the_file_is_one_line_that_says_what_to_write(
    cli: Cli, folder: Path, text: str, problem: str
) -> None:
    (folder / "orchestrator.toml").write_text(text)
    code, out, err = cli("threads", db=False)
    assert (code, out) == (2, "")
    assert problem in err
    assert str(folder / "orchestrator.toml") in err
    assert len(err.splitlines()) == 1
    assert cli("threads", "--help", db=False)[0] == 0


def test_a_file_holds_only_once_it_is_trusted_and_only_as_it_was_then(cli: Cli, folder: Path) -> None:
    (folder / "evil.py").write_text("open('ran', 'w').close()\n" + TEAM)
    file = folder / "orchestrator.toml"
    file.write_text('team = "evil:team"')

    def assert_refused() -> None:
        for command in (("run", "x"), ("threads",), ("chat",), ("tools",), ("resume", "t")):
            code, _, err = cli(*command, db=False)
            assert code == 2
            assert "is not trusted yet" in err
            assert "orchestrator config --trust" in err
        assert not (folder / "ran").exists()
        assert "not trusted" in cli("config", db=False)[1]
        assert values(cli)["team"] == (None, "default")

    assert_refused()
    assert cli("config", "--trust", db=False)[0] == 0
    assert cli("threads", db=False) == (0, "no threads yet\n", "")
    (folder / ".env").write_text("OPENAI_BASE_URL=http://127.0.0.1:9")
    assert_refused()
    cli("config", "--trust", db=False)
    file.write_text('team = "evil:team" # changed')
    assert_refused()
    cli("config", "--trust", db=False)
    assert cli("tools", db=False)[0] == 0
    assert (folder / "ran").exists(), "now it is the person's own team"


def test_a_file_that_is_named_by_the_variable_holds_and_none_means_none(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "orchestrator.toml").write_text('model = "nearest"')
    (folder / "ci.toml").write_text('model = "of ci"')
    monkeypatch.setenv("ORCHESTRATOR_CONFIG", str(folder / "ci.toml"))
    assert values(cli)["model"][0] == "of ci"
    monkeypatch.setenv("ORCHESTRATOR_CONFIG", "none")
    assert values(cli)["model"] == (None, "default")
    monkeypatch.setenv("ORCHESTRATOR_CONFIG", str(folder / "missing.toml"))
    assert "missing.toml" in cli("threads", db=False)[2]


def test_keys_are_never_printed_and_of_dotenv_only_settings_are_taken(cli: Cli, folder: Path) -> None:
    (folder / "orchestrator.toml").write_text("")
    names = (
        "PATH=/evil\nPYTHONPATH=/evil\nHTTPS_PROXY=http://evil\nORCHESTRATOR_CONFIG=/evil.toml\nLD_PRELOAD=/evil.so\n"
    )
    url = "OPENAI_BASE_URL=http://me:pass-word-7@127.0.0.1:9/v1\n"
    (folder / ".env").write_text(f"export OPENAI_API_KEY={KEY}\nANTHROPIC_API_KEY='{KEY}2'\n{url}{names}")
    before = {name: os.environ.get(name) for name in ("PATH", "PYTHONPATH", "HTTPS_PROXY", "LD_PRELOAD")}
    cli("config", "--trust", db=False)
    printed = "".join(map(str, cli("config", db=False) + cli("config", "--json", db=False)))
    assert "pass-word-7" not in printed
    assert KEY not in printed
    assert "set, and not shown" in printed
    assert "ANTHROPIC_API_KEY" in printed
    assert cli("threads", db=False)[0] == 0
    assert os.environ["OPENAI_API_KEY"] == KEY
    assert before == {name: os.environ.get(name) for name in before}
    assert "ORCHESTRATOR_CONFIG" not in os.environ


def test_a_dotenv_without_a_configuration_file_is_left_alone(cli: Cli, folder: Path) -> None:
    (folder / ".env").write_text(f"OPENAI_API_KEY={KEY}")
    assert cli("threads", db=False)[0] == 0
    assert "OPENAI_API_KEY" not in os.environ


def test_a_thread_that_goes_on_keeps_its_own_model_whatever_the_file_says(cli: Cli, folder: Path) -> None:
    plan = [step("a", agent="researcher")]
    with OpenAIServer(TeamScript([plan, plan], summary="Done.")) as server:
        cli("run", "x", "--base-url", server.base_url, "--model", "first", "--auto-approve", "--thread", "t")
        (folder / "orchestrator.toml").write_text('model = "of the file"')
        cli("config", "--trust", db=False)
        code, _, err = cli("run", "and then?", "--continue", "t", "--auto-approve")
        assert code == 0, err
        assert {body["model"] for body in server.bodies} == {"first"}


def test_files_of_others_and_a_folder_that_is_gone_disturb_nothing(cli: Cli, folder: Path) -> None:
    (folder / "pyproject.toml").write_bytes(b"\xff\xfe [tool.other\nbroken = ")
    assert cli("threads", db=False)[0] == 0
    (folder / "pyproject.toml").unlink()
    (folder / "pyproject.toml").mkdir()
    assert cli("threads", db=False)[0] == 0
    gone = folder / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    assert cli("threads", db=False)[0] == 0
    os.chdir(folder)


def test_a_task_comes_from_a_file(cli: Cli, folder: Path) -> None:
    (folder / "task.md").write_text("# Compare\n\nthe two [t1]\n", encoding="utf-8-sig")
    with OpenAIServer(TeamScript([step("a", agent="researcher")])) as server:
        common = ("--base-url", server.base_url, "--auto-approve", "--json")
        code, out, _ = cli("run", "-f", "task.md", *common)
        assert (code, json.loads(out)["task"]) == (0, "# Compare\n\nthe two [t1]\n")
    for words, problem in (
        (("-f", "missing.md"), "cannot read missing.md"),
        (("-f", "task.md", "x"), "either as an argument or by --file"),
    ):
        code, _, err = cli("run", *words)
        assert code == 2
        assert problem in err
