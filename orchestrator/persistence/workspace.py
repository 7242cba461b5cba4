"""Workspace: the folder of a thread, in which its workers leave files for one another and for the user."""

import os
import shutil
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from platformdirs import user_data_path

# LangGraph copies what it finds in `configurable` into every checkpoint, but for keys that begin like this.
WORKSPACE_KEY = "__orchestrator_workspace"
_MOST_ARTIFACTS = 1000


@dataclass(frozen=True)
class Artifact:
    """A file that workers left.

    Args:
        name: Its path inside the workspace.
        bytes: Its size.
    """

    name: str
    bytes: int

    def plain(self) -> dict[str, Any]:
        """JSON-plain form."""
        return asdict(self)


def workspace_of(database: Path | None, thread_id: str) -> Path:
    """The folder of a thread; nothing is made.

    Args:
        database: The database that the thread lives in: its folders are beside it. None for one in memory.
        thread_id: The thread.
    """
    root = workspaces_beside(database) if database else user_data_path("agent-task-orchestrator") / "files"
    name = quote(thread_id, safe="")
    return root.absolute() / ("%2E" + name[1:] if name.startswith(".") else name)


def workspaces_beside(database: Path) -> Path:
    """Return the folder of all workspaces of a database."""
    return database.with_name(database.name + ".files")


def artifacts_in(folder: Path) -> tuple[Artifact, ...]:
    """The files in a workspace, by name; hidden ones and links are left out."""
    found: list[Artifact] = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            if name.startswith(".") or len(found) == _MOST_ARTIFACTS:
                continue
            try:
                about = path.lstat()
            except FileNotFoundError:  # a worker took it away again
                continue
            if stat.S_ISREG(about.st_mode):
                found.append(Artifact(path.relative_to(folder).as_posix(), about.st_size))
    return tuple(found)


def delete_workspace(folder: Path) -> None:
    """Deletes the folder of a thread with all that is in it, if it is there."""
    if folder.is_dir():
        shutil.rmtree(folder)
