"""Persistence: one file, clear errors, one runner for each thread."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator import Persistence
from orchestrator.errors import ConfigError, PersistenceError, ThreadBusyError
from orchestrator.persistence.location import database_path
from orchestrator.persistence.serializer import PackedSerializer
from orchestrator.testing import TeamScript
from tests.support.teams import open_team, step


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///x.db", Path("x.db")),
        ("sqlite:////tmp/x.db", Path("/tmp/x.db")),
        ("x.db", Path("x.db")),
        ("memory://", None),
        (":memory:", None),
    ],
)
def test_urls(url: str, path: Path | None) -> None:
    assert database_path(url) == path


def test_an_unknown_scheme_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="mysql://here"):
        database_path("mysql://here")


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are my notes, and no database at all\n" * 50)
    before = path.read_bytes()
    with pytest.raises(PersistenceError, match="not a SQLite database"):
        Persistence(str(path))
    assert path.read_bytes() == before


def test_a_database_that_cannot_be_created_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PersistenceError, match="cannot"):
        Persistence(str(tmp_path / "file" / "x.db"))


def test_a_folder_and_a_pipe_are_refused_as_databases(tmp_path: Path) -> None:
    with pytest.raises(PersistenceError, match="is a folder"):
        Persistence(str(tmp_path))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PersistenceError, match="no ordinary file"):
        Persistence(str(tmp_path / "pipe"))


def test_a_locked_database_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.persistence.database.BUSY_TIMEOUT_S", 0.01)
    path = tmp_path / "x.db"
    Persistence(str(path)).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with open_team(TeamScript([step("a")]), path) as team, pytest.raises(PersistenceError, match="locked"):
        team.run("task", auto_approve=True)
    other.close()


def test_a_full_disk_is_a_clear_error_and_the_thread_can_be_resumed(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a"), step("b", "a")], results={"a": "long " * 4000}), tmp_path / "x.db") as team:
        connection = team.persistence._conn
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 6}")
        with pytest.raises(PersistenceError, match="no space left"):
            team.run("task", thread_id="t", auto_approve=True)
        connection.execute("PRAGMA max_page_count = 1000000")
        assert team.resume("t").status == "done"


def test_large_values_are_packed_and_come_back(tmp_path: Path) -> None:
    serializer = PackedSerializer()
    for value in ({"small": 1}, {"large": "x" * 50_000}):
        kind, data = serializer.dumps_typed(value)
        assert serializer.loads_typed((kind, data)) == value
        assert len(data) < 1000


def test_a_thread_has_one_runner_in_a_process(tmp_path: Path) -> None:
    with Persistence(str(tmp_path / "x.db")) as one, Persistence(str(tmp_path / "x.db")) as two:
        with one.lease("t"), one.lease("other"):
            with pytest.raises(ThreadBusyError, match="'t'"), one.lease("t"):
                pass
            with pytest.raises(ThreadBusyError, match=f"process {os.getpid()}"), two.lease("t"):
                pass
        with two.lease("t"):
            assert one.is_leased("t")
        assert not one.is_leased("t")


def test_a_thread_has_one_runner_over_processes_and_a_killed_one_lets_go_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from orchestrator import Persistence; p = Persistence(sys.argv[1])\n"
        "with p.lease('t'):\n    print('held', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "x.db")]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with Persistence(str(tmp_path / "x.db")) as here:
            with pytest.raises(ThreadBusyError, match=str(child.pid)), here.lease("t"):
                pass
            child.kill()
            child.wait(30)
            with here.lease("t"):
                pass
    finally:
        child.kill()
        child.communicate()


def test_what_a_finished_worker_saved_of_its_steps_is_gone(tmp_path: Path) -> None:
    from orchestrator.testing import call, say
    from tests.support.teams import writer

    noted: list[str] = []
    script = TeamScript([step("a", agent="tooled")], results={"a": [call("write", text="x"), say("done")]})
    with open_team(script, tmp_path / "x.db", writer(noted)) as team:
        team.run("task", thread_id="t", auto_approve=True)
        rows: Any = team.persistence._conn.execute("SELECT DISTINCT checkpoint_ns FROM checkpoints").fetchall()
        assert rows == [("",)]


def test_memory_databases_work(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a")]), "memory://") as team:
        assert team.run("task", auto_approve=True).status == "done"


def test_a_record_of_a_thread_with_more_in_it_than_is_known_is_read(tmp_path: Path) -> None:
    with open_team(TeamScript([step("a")]), tmp_path / "x.db") as team:
        team.run("go", thread_id="t", auto_approve=True)
        record = team.persistence.store.get(("orchestrator", "threads"), "t")
        assert record is not None
        team.persistence.store.put(("orchestrator", "threads"), "t", {**record.value, "from another version": 1})
        assert [known.id for known in team.threads()] == ["t"]
        assert team.resume("t").status == "done"
