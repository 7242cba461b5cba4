"""The line `thread: …` that `orchestrator run` prints first: what it names can be resumed from then on."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator import Persistence
from orchestrator.cli.console import VisibleConsole
from orchestrator.cli.main import main
from orchestrator.persistence.namespaces import ROOT
from orchestrator.testing import OpenAIServer, TeamScript
from tests.support.teams import step


def test_the_thread_is_named_when_a_resume_would_find_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    durable: list[bool] = []
    print_line = VisibleConsole.print

    def watched(console: VisibleConsole, *texts: Any, **options: Any) -> None:
        if str(texts[:1]).startswith("('thread: "):
            with Persistence(str(tmp_path / "x.db")) as others:
                durable.append(others.store.get((ROOT, "threads"), "t") is not None)
        print_line(console, *texts, **options)

    monkeypatch.setattr(VisibleConsole, "print", watched)
    with OpenAIServer(TeamScript([step("a", agent="researcher")])) as server, pytest.raises(SystemExit) as exited:
        main(
            ["run", "go", "--thread", "t", "--auto-approve", "--base-url", server.base_url, "--db", f"{tmp_path}/x.db"]
        )
    assert exited.value.code == 0
    assert durable == [True]
    assert "thread: t\n" in capsys.readouterr().err


def test_no_thread_is_named_when_none_was_begun(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with OpenAIServer(TeamScript([])) as server, pytest.raises(SystemExit) as exited:
        main(["run", "go", "--thread", "a\nb", "--base-url", server.base_url, "--db", str(tmp_path / "x.db")])
    assert exited.value.code == 2
    assert "thread: " not in capsys.readouterr().err
