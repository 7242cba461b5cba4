"""The command line that makes a sandbox of bubblewrap: what its code sees, who it is, and what it may use.

`python_bubblewrap` tells what each layer is for.
"""

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
    # Each thread of these libraries takes address space, which is limited.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
"""All that is known inside of where it runs."""


@dataclass(frozen=True)
class Bounds:
    """What a session may use.

    Args:
        time_limit_s: Of one piece of code.
        memory_mb: All its processes together, and each one's address space.
        processes: Processes and threads together.
        workspace_mb: All files in the workspace together.
        scratch_mb: Files in /tmp, and shared memory, each.
        characters: Of print and of a value.
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
        program: Its interpreter.
        folders: What the interpreter needs to see.
    """

    program: str
    folders: tuple[str, ...]

    @classmethod
    def of(cls, program: str | None) -> "Installation":
        """The installation of an interpreter.

        Args:
            program: Path of the interpreter; None for the one that runs this.

        Raises:
            SandboxUnavailableError: It does not run.
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
            # Everything below would be readable inside.
            if Path(folder) in (Path("/"), Path.home(), Path("/home"), Path("/etc"), Path("/var"), Path("/tmp")):
                raise SandboxUnavailableError(f"Python is installed right in {folder}, with much else that is private")
        return cls(program, tuple(folder for folder in named if not Path(folder).is_relative_to("/usr")))


def ordinary_user(workspace: Path | None) -> int:
    """A user that nobody is. Sessions that share a workspace are the same one, or could not read each other's files.

    The range is one that no system gives to anybody (systemd's list of user ids has it as unused).

    Args:
        workspace: The folder that is shared.
    """
    of = secrets.token_bytes(8) if workspace is None else os.fsencode(workspace.resolve())
    return 1_900_000_000 + zlib.crc32(of) % 200_000_000


def arguments(python: Installation, workspace: Path | None, bounds: Bounds, uid: int | None) -> list[str]:
    """What bubblewrap is called with; `{filter}` stands for the number of the open system call filter.

    Args:
        python: The Python that runs inside.
        workspace: The folder that is shared; None for an empty one.
        bounds: What a session may use.
        uid: The user that the driver becomes; None where bubblewrap makes it one.
    """
    own = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    if uid is None:
        own += ["--unshare-user", "--uid", str(_NOBODY), "--gid", str(_NOBODY), "--cap-drop", "ALL"]
    else:  # kept just until the driver has become somebody else
        own += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    own += ["--die-with-parent", "--new-session", "--hostname", "sandbox"]
    scratch = ["--perms", "1777", "--size", str(bounds.scratch_mb * 1_000_000), "--tmpfs"]
    mounts = ["--ro-bind", "/usr", "/usr"]
    for name in ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"):
        if os.path.islink(name):
            mounts += ["--symlink", os.readlink(name), name]
        elif os.path.isdir(name):
            mounts += ["--ro-bind", name, name]
    mounts += ["--perms", "0755", "--dir", "/etc"]
    for name in ("/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime", "/etc/fonts"):
        mounts += ["--ro-bind-try", name, name]
    mounts += ["--proc", "/proc", "--dev", "/dev", *scratch, "/dev/shm", *scratch, "/tmp"]
    binds = [(folder, folder) for folder in python.folders]
    binds += [(str(Path(__file__).with_name("driver.py")), "/run/driver.py")]
    for source, place in binds:
        for parent in reversed(Path(place).parents[:-1]):
            # Made by itself, bubblewrap lets only its own user through, who need not be the one inside.
            if str(parent) != "/tmp":
                mounts += ["--perms", "0755", "--dir", str(parent)]
        mounts += ["--ro-bind", source, place]
    mounts += [*scratch, "/workspace"] if workspace is None else ["--bind", str(workspace), "/workspace"]
    # Both are file systems in memory, and of no limited size.
    mounts += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"]
    settings = {"uid": uid, "limits": _limits(bounds), "most": bounds.characters}
    return [*own, *mounts, "--seccomp", "{filter}", python.program, "-I", "/run/driver.py", json.dumps(settings)]


def _limits(bounds: Bounds) -> dict[str, int]:
    return {
        "RLIMIT_AS": bounds.memory_mb * 1_000_000,
        "RLIMIT_NPROC": bounds.processes,
        # One file alone never fills the workspace.
        "RLIMIT_FSIZE": bounds.workspace_mb * 500_000,
        "RLIMIT_NOFILE": 128,
        "RLIMIT_CORE": 0,
        # All calls of a session together; the time limit of a call is kept from outside.
        "RLIMIT_CPU": int(60 * bounds.time_limit_s) + 1,
    }
