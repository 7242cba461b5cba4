"""What a run leaves on disk is for its owner alone, whatever the umask; what was there before keeps its mode."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from orchestrator_tools.workspace.contained_folder import ContainedFolder, Limits

from orchestrator import TaskOrchestrator
from orchestrator.testing import TeamScript, call, say
from tests.persistence.test_workspace import keeping
from tests.support.teams import open_team, step

PLAN = [step("a", agent="tooled")]
RESULTS: Any = {"a": [call("keep", text="one"), say("x")]}


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def modes_below(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): mode(path) for path in sorted(folder.rglob("*"))}


def run_in(db: Path) -> TaskOrchestrator:
    team = open_team(TeamScript(PLAN, results=RESULTS), db, keeping([]))
    assert team.run("go", thread_id="t", auto_approve=True).status == "done"
    return team


def test_database_journals_locks_and_folders_are_private(tmp_path: Path, umask: int) -> None:
    with run_in(tmp_path / "new" / "folder" / "x.db"):
        modes = modes_below(tmp_path)
    assert {"new/folder/x.db", "new/folder/x.db-wal", "new/folder/x.db-shm"} <= modes.keys()
    reachable = {"new/folder/x.db.files/t", "new/folder/x.db.files/t/one.txt"}  # a tool of the user's own wrote these
    loose = {name: oct(bits) for name, bits in modes.items() if bits & 0o077 and name not in reachable}
    assert not loose
    assert modes["new/folder/x.db.files"] == 0o700


def test_files_that_our_tools_write_are_private(tmp_path: Path, umask: int) -> None:
    ContainedFolder(tmp_path / "x.db.files" / "t", Limits()).write("sub/notes.txt", b"text")
    modes = modes_below(tmp_path)
    assert "x.db.files/t/sub/notes.txt" in modes
    assert not {name: oct(bits) for name, bits in modes.items() if bits & 0o077}


def test_a_users_own_file_and_folder_keep_their_modes(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o750)
    (folder / "x.db").touch()
    (folder / "x.db").chmod(0o640)
    with run_in(folder / "x.db"):
        assert mode(folder / "x.db-wal") == 0o640, "whoever may read the database must be able to read its journal"
    assert mode(folder) == 0o750
    assert mode(folder / "x.db") == 0o640


def test_a_database_behind_a_link_to_nothing_yet_is_private(tmp_path: Path, umask: int) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    with run_in(tmp_path / "link.db"):
        assert mode(tmp_path / "real.db") == 0o600
