"""The command line of bubblewrap: mounts, user and limits of a sandbox. See `bubblewrap` for the layers."""

import json
import os
import secrets
import subprocess
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestrator_tools.python.sandbox import SandboxUnavailableError

_ASK_S: Final = 30.0
_NOBODY: Final = 65534
ENVIRONMENT: Final = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/tmp",
    "USER": "user",
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "MPLBACKEND": "Agg",
    "MPLCONFIGDIR": "/tmp",
    # Each thread of these libraries reserves address space, which is limited.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
"""The whole environment of the code."""


@dataclass(frozen=True)
class Bounds:
    """Upper bounds of a session.

    Args:
        time_limit_s: Seconds for one piece of code.
        memory_mb: Megabytes of all processes together, and of the address space of each.
        processes: Processes and threads together.
        workspace_mb: Megabytes of all files in the workspace together.
        scratch_mb: Megabytes of the files in /tmp, and of shared memory.
        characters: Characters of print and of a value.
    """

    time_limit_s: float
    memory_mb: int
    processes: int
    workspace_mb: int
    scratch_mb: int
    characters: int


@dataclass(frozen=True)
class Installation:
    """A Python installation.

    Args:
        program: Path of the interpreter.
        folders: Folders that the interpreter reads.
    """

    program: str
    folders: tuple[str, ...]

    @classmethod
    def of(cls, program: str | None) -> "Installation":
        """Return the installation of an interpreter.

        Args:
            program: Path of the interpreter; None for the current one.

        Raises:
            SandboxUnavailableError: The interpreter does not run, or lies in a folder that holds private files too.
        """
        if program is None:
            return cls._checked(sys.executable, [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix])
        ask = (
            "import json, sys; print(json.dumps([sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix]))"
        )
        try:
            run = subprocess.run([program, "-I", "-c", ask], capture_output=True, check=True, timeout=_ASK_S, env={})
            return cls._checked(program, json.loads(run.stdout))
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            raise SandboxUnavailableError(f"the Python '{program}' does not run ({error})") from error

    @classmethod
    def _checked(cls, program: str, folders: list[str]) -> "Installation":
        named = list(dict.fromkeys([*folders, *(os.path.realpath(folder) for folder in folders)]))
        for folder in named:
            # The code could read everything below.
            if Path(folder) in (Path("/"), Path.home(), Path("/home"), Path("/etc"), Path("/var"), Path("/tmp")):
                raise SandboxUnavailableError(f"Python is installed right in {folder}, with much else that is private")
        return cls(program, tuple(folder for folder in named if not Path(folder).is_relative_to("/usr")))


def ordinary_user(workspace: Path | None) -> int:
    """Return a user id that nothing else uses, the same for all sessions on a workspace, which share files.

    Args:
        workspace: The folder that is shared; None for a user of one session.
    """
    of = secrets.token_bytes(8) if workspace is None else os.fsencode(workspace.resolve())
    # systemd's list of user ids has this range as unused.
    return 1_900_000_000 + zlib.crc32(of) % 200_000_000


def arguments(python: Installation, workspace: Path | None, bounds: Bounds, uid: int | None) -> list[str]:
    """Return the arguments of bubblewrap, with `{filter}` for the number of the open system call filter.

    Args:
        python: The Python that runs inside.
        workspace: The folder that is shared; None for an empty one.
        bounds: Upper bounds of a session.
        uid: The user that the driver becomes; None if bubblewrap makes it an ordinary user.
    """
    own = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    if uid is None:
        own += ["--unshare-user", "--uid", str(_NOBODY), "--gid", str(_NOBODY), "--cap-drop", "ALL"]
    else:  # the driver needs these two to become an ordinary user, and loses them by that
        own += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    # A new session, because code could type into the terminal otherwise (TIOCSTI, CVE-2017-5226).
    own += ["--die-with-parent", "--new-session", "--hostname", "sandbox"]
    # Without a size, Linux lets a tmpfs fill half of the machine's memory.
    scratch = ["--perms", "1777", "--size", str(bounds.scratch_mb * 1_000_000), "--tmpfs"]
    mounts = ["--ro-bind", "/usr", "/usr"]
    for name in ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"):
        if os.path.islink(name):
            mounts += ["--symlink", os.readlink(name), name]
        elif os.path.isdir(name):
            mounts += ["--ro-bind", name, name]
    mounts += ["--perms", "0755", "--dir", "/etc"]
    # On Debian libraries such as BLAS are links into /etc/alternatives.
    for name in ("/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime", "/etc/fonts"):
        mounts += ["--ro-bind-try", name, name]
    mounts += ["--proc", "/proc", "--dev", "/dev", *scratch, "/dev/shm", *scratch, "/tmp"]
    binds = [(folder, folder) for folder in python.folders]
    binds += [(str(Path(__file__).with_name("driver.py")), "/run/driver.py")]
    for source, target in binds:
        for parent in reversed(Path(target).parents[:-1]):
            # bubblewrap creates missing parents for its own user only, and the code can have another one.
            if str(parent) != "/tmp":
                mounts += ["--perms", "0755", "--dir", str(parent)]
        mounts += ["--ro-bind", source, target]
    mounts += [*scratch, "/workspace"] if workspace is None else ["--bind", str(workspace), "/workspace"]
    # Both are file systems in memory without a limit of their size.
    mounts += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"]
    settings = {"uid": uid, "limits": _limits(bounds), "most": bounds.characters}
    return [*own, *mounts, "--seccomp", "{filter}", python.program, "-I", "/run/driver.py", json.dumps(settings)]


def _limits(bounds: Bounds) -> dict[str, int]:
    return {
        "RLIMIT_AS": bounds.memory_mb * 1_000_000,
        "RLIMIT_NPROC": bounds.processes,
        # One file alone cannot fill the workspace.
        "RLIMIT_FSIZE": bounds.workspace_mb * 500_000,
        "RLIMIT_NOFILE": 128,
        "RLIMIT_CORE": 0,
        # For all calls of a session together. The time limit of a call is kept from outside.
        "RLIMIT_CPU": int(60 * bounds.time_limit_s) + 1,
    }
