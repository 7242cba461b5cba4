"""The table of hostile cases shows every case, and says so when one is not contained."""

import pytest

from tests.tools.database.postgres_shop import PostgresMissingError
from tests.tools.hostile import hostile_cases
from tests.tools.hostile.hostile_cases import Hostile
from tests.tools.hostile.hostile_table import main


def test_each_case_has_a_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["--backend", "sqlite", "--like", "settings: "]) == 0
    out = capsys.readouterr().out
    assert "settings: PRAGMA query_only = OFF" in out
    assert out.count("contained") == out.count("settings:") + 1
    assert ", 0 not contained" in out


def test_python_and_sql_are_in_one_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["--backend", "monty", "--like", "/etc/shadow"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "/etc/shadow" in line)
    assert "monty" in line
    assert "contained" in line
    assert "Error" in line


def test_a_database_server_that_is_not_here_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("tests.tools.hostile.hostile_table.postgres_shop", _missing)
    assert main(["--backend", "postgres", "--backend", "sqlite", "--like", "settings: PRAGMA query_only"]) == 0
    out = capsys.readouterr().out
    assert "postgres" in out
    assert "not here" in out
    assert "1 cases, 0 not contained" in out


def test_a_case_that_is_not_contained_is_said_and_ends_with_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(hostile_cases, "CASES", [Hostile("a leak", "print('sword' + 'fish')")])
    assert main(["--backend", "monty"]) == 1
    out = capsys.readouterr().out
    assert "NOT CONTAINED: the secret is in the answer" in out
    assert "1 cases, 1 not contained" in out


def test_a_sandbox_that_is_not_here_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("tests.tools.hostile.hostile_table.tool_for", _absent)
    assert main(["--backend", "bubblewrap"]) == 1, "nothing was shown to be contained"
    assert "not here" in capsys.readouterr().out


def _absent(backend: str) -> object:
    from orchestrator_tools.python.sandbox import SandboxUnavailableError

    raise SandboxUnavailableError(f"{backend} is not installed")


def _missing() -> object:
    raise PostgresMissingError("no server")
