"""Deleting a thread, killed at every step: it can be deleted again, and its name finds nothing of the old one."""

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import BaseTool, tool

from orchestrator import Persistence, TaskOrchestrator, declare
from orchestrator.errors import PersistenceError, UnknownThreadError
from orchestrator.persistence.namespaces import ROOT
from orchestrator.runs.client import OrchestratorClient
from orchestrator.testing import TeamScript, call, run_until_killed, say
from tests.support.teams import open_team, step

KILLED = -signal.SIGKILL
RESULTS: Any = {"a": [call("keep", text="secret"), say("the secret result")]}


def keeper(seen: list[str] | None = None) -> BaseTool:
    @tool
    def keep(text: str, workspace: str = "") -> str:
        """Keeps a text."""
        folder = Path(FOLDER[0])
        if seen is not None:
            seen.extend(path.name for path in folder.rglob("*"))
        (folder / "sub").mkdir(parents=True, exist_ok=True)
        for name in ("one.txt", "two.txt", "sub/three.txt"):
            (folder / name).write_text(text)
        return "kept"

    return declare(keep, risk="read")


FOLDER = [""]


def make(db: Path, seen: list[str] | None = None) -> TaskOrchestrator:
    team = open_team(TeamScript([step("a", agent="tooled")], results=RESULTS), db, keeper(seen))
    FOLDER[0] = str(team.workspace_of("t"))
    return team


def delete_and_die(db: Path, at: int, count: Path) -> None:
    """Deletes the thread; dies before the n-th SQL statement or file removal, or notes how many there are."""
    done = 0
    is_on = False

    def note(*_: object) -> None:
        nonlocal done
        if not is_on:
            return
        done += 1
        if done == at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(lambda event, _: note() if event in ("os.remove", "os.rmdir", "shutil.rmtree") else None)
    with OrchestratorClient(Persistence(str(db))) as client:
        client.persistence._conn.set_trace_callback(note)
        is_on = True
        client.delete("t")
        is_on = False
    count.write_text(str(done))


def leftovers(db: Path) -> dict[str, Any]:
    with OrchestratorClient(Persistence(str(db))) as client:
        connection = client.persistence._conn
        rows = {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("checkpoints", "writes", "store")
        }
        return {name: n for name, n in rows.items() if n} | (
            {"files": True} if client.workspace_of("t").exists() else {}
        )


def test_a_kill_at_any_step_of_a_deletion_leaves_nothing_for_a_thread_of_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "origin").mkdir()
    with make(tmp_path / "origin" / "x.db") as team:
        assert team.run("go", thread_id="t", auto_approve=True).status == "done"
    shutil.copytree(tmp_path / "origin", tmp_path / "whole")
    assert run_until_killed(delete_and_die, tmp_path / "whole" / "x.db", 0, tmp_path / "count") == 0
    assert leftovers(tmp_path / "whole" / "x.db") == {}
    steps = int((tmp_path / "count").read_text())
    assert steps > 20
    for at in range(1, steps + 1):
        folder = tmp_path / str(at)
        shutil.copytree(tmp_path / "origin", folder)
        assert run_until_killed(delete_and_die, folder / "x.db", at, tmp_path / "none") == KILLED
        shutil.copytree(folder, tmp_path / f"{at}-again")
        with OrchestratorClient(Persistence(str(folder / "x.db"))) as client:
            listed = {record.id: record.status for record in client.threads()}
            assert listed.get("t", "gone") in ("done", "deleting", "gone")
            if "t" in listed:
                client.delete("t")
        assert leftovers(folder / "x.db") == {}, f"killed at {at}, deleted again"
        if listed.get("t") == "done":
            continue  # killed before anything was deleted
        seen: list[str] = []
        with make(tmp_path / f"{at}-again" / "x.db", seen) as team:
            run = team.run("another task", thread_id="t", auto_approve=True)
            assert run.status == "done"
            assert seen == [], f"killed at {at}, and a new thread of that name found files"
            assert {entry.key for entry in team.memory_of("t").all()} == {run.outcomes["a"].key}
            assert team.show("t").task == "another task"
        shutil.rmtree(folder)
        shutil.rmtree(tmp_path / f"{at}-again")


def half_deleted(db: Path) -> TaskOrchestrator:
    team = make(db)
    team.run("go", thread_id="t", auto_approve=True)
    row = team.persistence.store.get((ROOT, "threads"), "t")
    assert row is not None
    team.persistence.store.put((ROOT, "threads"), "t", {**row.value, "status": "deleting"})
    return team


def test_a_half_deleted_thread_is_listed_as_such_and_cannot_be_gone_on_with(tmp_path: Path) -> None:
    with half_deleted(tmp_path / "x.db") as team:
        assert [(record.id, record.status) for record in team.threads()] == [("t", "deleting")]
        assert team.reviews() == []
        for look in (team.show, team.resume, team.reviews):
            with pytest.raises(UnknownThreadError, match=r"was being deleted.*delete it again"):
                look("t")
        assert team.has_thread("t")
        team.delete("t")
        assert not team.has_thread("t")
    assert leftovers(tmp_path / "x.db") == {}


def test_files_that_cannot_be_deleted_are_a_clear_error_and_the_thread_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with make(tmp_path / "x.db") as team:
        team.run("go", thread_id="t", auto_approve=True)
        with monkeypatch.context() as patched:
            patched.setattr(shutil, "rmtree", refuse)
            with pytest.raises(PersistenceError, match=r"x.db.files/t \(Permission denied\).*delete thread 't' again"):
                team.delete("t")
        team.delete("t")
    assert leftovers(tmp_path / "x.db") == {}
