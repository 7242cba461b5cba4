"""A thread is opened again by its id alone."""

from pathlib import Path

import pytest

from orchestrator import Persistence
from orchestrator.errors import ConfigError, UnknownThreadError
from orchestrator.runs.loading import open_thread

ROW = {"id": "t", "task": "go", "status": "failed", "created": 1.0, "updated": 2.0}
ENDPOINT = {"model": "m", "base_url": "http://127.0.0.1:9/v1"}


def put(db: Path, row: dict[str, object]) -> str:
    with Persistence(str(db)) as persistence:
        persistence.store.put(("orchestrator", "threads"), "t", row)
    return str(db)


def test_a_thread_is_opened_with_the_team_that_it_recorded(tmp_path: Path) -> None:
    db = put(tmp_path / "runs.db", {**ROW, "about": {"team": "document_desk"} | ENDPOINT})
    with open_thread(db, "t", {"base_url": ""}) as orchestrator:
        assert orchestrator.about == {"team": "document_desk"} | ENDPOINT


def test_a_thread_that_recorded_no_team_asks_for_one(tmp_path: Path) -> None:
    db = put(tmp_path / "runs.db", {**ROW, "from_a_newer_version": True})
    with pytest.raises(ConfigError, match="name the team with --team"):
        open_thread(db, "t", {})
    with open_thread(db, "t", {"team": "document_desk"} | ENDPOINT) as orchestrator:
        assert orchestrator.show("t").status == "interrupted"


def test_an_unknown_thread_is_an_error_that_names_the_database(tmp_path: Path) -> None:
    with pytest.raises(UnknownThreadError, match=r"no thread 'u' in .*runs\.db"):
        open_thread(str(tmp_path / "runs.db"), "u", {})
