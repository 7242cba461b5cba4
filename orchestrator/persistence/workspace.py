"""Workspace: the folder of a thread, where workers keep files for one another and for the user."""

import os
import shutil
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from platformdirs import user_data_path

# LangGraph copies the keys of `configurable` into every checkpoint, except those that begin with two underscores.
WORKSPACE_KEY = "__orchestrator_workspace"
_MOST_ARTIFACTS = 1000


@dataclass(frozen=True)
class Artifact:
    """A file of the workspace.

    Args:
        name: Path inside the workspace.
        bytes: Size of the file.
    """

    name: str
    bytes: int

    def plain(self) -> dict[str, Any]:
        """Return the JSON-plain form."""
        return asdict(self)


def workspace_of(database: Path | None, thread_id: str) -> Path:
    """Return the folder of a thread, without creating it.

    Args:
        database: The thread's database; the folder is beside it. None for a database in memory.
        thread_id: The thread.
    """
    root = workspaces_beside(database) if database else user_data_path("agent-task-orchestrator") / "files"
    return _folder_of(root, thread_id)


def _folder_of(root: Path, thread_id: str) -> Path:
    name = quote(thread_id, safe="")
    # A thread may be called "..", and its folder must not be another one.
    return root.absolute() / ("%2E" + name[1:] if name.startswith(".") else name)


def uploads_of(database: Path | None, thread_id: str) -> Path:
    """Return the folder of the documents that a person uploaded for a thread, without creating it.

    It is not in the workspace: the thread's workers read these documents and must not change them.

    Args:
        database: The thread's database; the folder is beside it. None for a database in memory.
        thread_id: The thread.
    """
    return _folder_of(uploads_beside(database), thread_id)


def uploads_beside(database: Path | None) -> Path:
    """Return the folder of all uploads of a database."""
    if database is None:
        return user_data_path("agent-task-orchestrator") / "uploads"
    return database.absolute().with_name(database.name + ".uploads")


def workspaces_beside(database: Path) -> Path:
    """Return the folder of all workspaces of a database."""
    return database.with_name(database.name + ".files")


def artifacts_in(folder: Path) -> tuple[Artifact, ...]:
    """Return the files in a workspace, without hidden files and links."""
    artifacts: list[Artifact] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if name.startswith(".") or len(artifacts) == _MOST_ARTIFACTS:
                continue
            try:
                metadata = path.lstat()
            except FileNotFoundError:  # a worker deleted it meanwhile
                continue
            if stat.S_ISREG(metadata.st_mode):
                artifacts.append(Artifact(path.relative_to(folder).as_posix(), metadata.st_size))
    return tuple(artifacts)


def delete_workspace(folder: Path) -> None:
    """Delete the folder of a thread, if it exists."""
    if folder.is_dir():
        shutil.rmtree(folder)
