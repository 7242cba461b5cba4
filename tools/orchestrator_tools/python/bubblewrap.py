"""Full CPython, with the installed libraries, in a sandbox of Linux namespaces made by bubblewrap.

Each session has one process, which keeps the session's names. The process sees the system's programs and the Python
installation, read only, and the workspace. It sees no other file, no network, no environment and no other process.
The layers, and their purposes:

- Namespaces and mounts contain files, network and processes.
- An ordinary user: the kernel sets no limits to root, not even to root in a user namespace. If this program runs as
  root, bubblewrap mounts as root, and the process inside becomes an ordinary user before it reads any code. Otherwise
  a user namespace does the same.
- Limits of the process, and a watch from outside for sums over all processes: memory, number, size of the workspace.
- A filter of system calls (see `system_calls`).
- All processes are frozen between two calls, so that nothing works unseen in the background.

Invariant: if a layer is missing, no code runs.
"""

import json
import os
import platform
import secrets
import select
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from orchestrator_tools.private_folder import make_private_folder
from orchestrator_tools.python.bubblewrap_command import ENVIRONMENT, Bounds, Installation, arguments, ordinary_user
from orchestrator_tools.python.process_tree import below, freeze, kill, thaw
from orchestrator_tools.python.sandbox import Outcome, SandboxUnavailableError
from orchestrator_tools.python.shared_folder import hand_over, overfull
from orchestrator_tools.python.system_calls import is_known, system_call_filter

_START_S: Final = 30.0
_WATCH_S: Final = 0.2
_MOST_FILES: Final = 1_000
_INSTALL: Final = "install bubblewrap (on Debian and Ubuntu: apt-get install bubblewrap) or use the backend 'monty'"

# `--die-with-parent` counts the *thread* that started the child as its parent: the kernel ends the sandbox when that
# thread ends. Threads that call tools come and go, so one permanent thread starts all sandboxes.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sandbox-starter")


class BubblewrapSandbox:
    """Sessions in bubblewrap.

    Args:
        bounds: Upper bounds of each session.
        program: The Python interpreter to run; None for the current one.

    Raises:
        SandboxUnavailableError: bubblewrap does not exist for this system.
    """

    def __init__(self, bounds: Bounds, program: str | None = None) -> None:
        if sys.platform != "linux" or not is_known(platform.machine()):
            raise SandboxUnavailableError(
                f"bubblewrap needs Linux on x86_64 or aarch64, this is {sys.platform} on {platform.machine()}; "
                "use the backend 'monty'"
            )
        self.bounds = bounds
        self.program = program

    def start(self, workspace: Path | None) -> "BubblewrapPython":
        """Start a session.

        Args:
            workspace: The session's folder, created if missing. None for an empty folder that ends with the session.

        Raises:
            SandboxUnavailableError: bubblewrap is missing, or does not work here.
        """
        bubblewrap = shutil.which("bwrap")
        if bubblewrap is None:
            raise SandboxUnavailableError(f"the program 'bwrap' is not there; {_INSTALL}")
        if workspace is not None:
            workspace = workspace.absolute()
            make_private_folder(workspace)
        # RLIMIT_NPROC does not bind root: 200 of 200 forks went through.
        uid = ordinary_user(workspace) if os.getuid() == 0 else None
        command = [bubblewrap, *arguments(Installation.of(self.program), workspace, self.bounds, uid)]
        return BubblewrapPython(command, workspace, self.bounds, uid)

    def close(self) -> None:
        """Do nothing: the sandbox keeps nothing between sessions."""


class BubblewrapPython:
    """One session; its pieces of code must not run at the same time.

    Args:
        command: The command that starts bubblewrap, with `{filter}` for the number of the open system call filter.
        workspace: The folder that is shared with the session.
        bounds: Upper bounds of the session.
        uid: The user inside if this program is root, otherwise None.

    Raises:
        SandboxUnavailableError: The session does not start.
    """

    def __init__(self, command: list[str], workspace: Path | None, bounds: Bounds, uid: int | None) -> None:
        self._workspace = workspace
        self._bounds = bounds
        self._uid = uid
        self._unread = b""
        self._ending = threading.Lock()
        self._ended = False
        if workspace is not None and uid is not None:
            hand_over(workspace, uid)
        self._process = _starter.submit(_started, command).result()
        self._pid = self._process.pid
        try:
            ready = self._line(time.monotonic() + _START_S)
        except _Over as over:
            reason = self._start_error()
            self.end()
            raise SandboxUnavailableError(f"bubblewrap does not work here ({reason or over}); {_INSTALL}") from over
        if ready.get("id") != "ready":
            self.end()
            raise SandboxUnavailableError(f"bubblewrap does not work here; {_INSTALL}")
        freeze(self._pid)

    def run(self, code: str) -> Outcome:
        """Run a piece of code.

        Args:
            code: Python.
        """
        if full := self._overfull():
            return Outcome(error=f"OSError: {full}; shorten files with write_file, or work without Python")
        try:
            answer = self._asked(code)
            ended = self._overfull()
        except _Over as over:
            self.end()
            return Outcome(ended=str(over))
        if not freeze(self._pid):
            ended = "the code kept starting new processes"
        if ended:
            self.end()
        return _outcome(answer, self._bounds.characters, ended)

    def end(self) -> None:
        """Kill bubblewrap and every process in the sandbox, and wait until they are gone."""
        with self._ending:
            if self._ended:
                return
            self._ended = True
            inside = below(
                self._pid
            )  # the first process of a PID namespace is first in the list; all others die with it
            self._process.kill()
            kill(inside, _START_S)
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
                if stream is not None:
                    stream.close()

    def _asked(self, code: str) -> dict[str, Any]:
        # Anything in the pipe before the question is sent would be taken for its answer.
        if self._unread or self._readable(0.0):
            raise _Over("the code spoke without having been asked")
        if self._workspace is not None and self._uid is not None:
            hand_over(self._workspace, self._uid)  # other tools may have written files meanwhile
        number = secrets.token_hex(8)  # with a counter, code could write the next answer in advance
        end = time.monotonic() + self._bounds.time_limit_s
        thaw(self._pid)
        self._write(json.dumps({"id": number, "code": code}).encode() + b"\n", end)
        answer = self._line(end)
        if answer.get("id") != number or self._unread:
            raise _Over("the answer was not the one to the question")
        return answer

    def _write(self, raw: bytes, end: float) -> None:
        assert self._process.stdin is not None
        to, rest = self._process.stdin.fileno(), memoryview(raw)
        while rest:
            _, ready, _ = select.select([], [to], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise _Over(f"the code ran longer than {self._bounds.time_limit_s:g} seconds")
            try:
                rest = rest[os.write(to, rest) :]
            except BrokenPipeError:
                raise _Over("Python has ended") from None

    def _line(self, end: float) -> dict[str, Any]:
        """Return the next answer. The code may have written it, so its size and form are checked."""
        assert self._process.stdout is not None
        # JSON escapes a byte of print as 6 bytes, and a character of a value as 12.
        most = 20 * self._bounds.characters + 100_000
        look = time.monotonic() + _WATCH_S
        while b"\n" not in self._unread:
            now = time.monotonic()
            if now >= end:
                raise _Over(f"the code ran longer than {self._bounds.time_limit_s:g} seconds")
            if now >= look:  # not only when nothing can be read: code that keeps writing is watched too
                self._watch()
                look = time.monotonic() + _WATCH_S
            if self._readable(max(0.0, min(end, look) - now)):
                piece = os.read(self._process.stdout.fileno(), 1 << 16)
                if not piece:
                    raise _Over("Python has ended")
                self._unread += piece
                if len(self._unread) > most:
                    raise _Over("the answer was too long")
        line, _, self._unread = self._unread.partition(b"\n")
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _Over("the answer could not be read") from error
        if not isinstance(answer, dict):
            raise _Over("the answer could not be read")
        return answer

    def _readable(self, wait_s: float) -> bool:
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout], [], [], wait_s)[0])

    def _watch(self) -> None:
        """Check the sums over all processes, which no limit of a single process holds.

        Raises:
            _Over: A sum is too large.
        """
        inside = below(self._pid)
        if sum(process.memory_bytes for process in inside) > self._bounds.memory_mb * 1_000_000:
            raise _Over(f"the code used more than {self._bounds.memory_mb} MB of memory")
        if len(inside) > self._bounds.processes + 2:  # the two are bubblewrap's first one and the driver
            raise _Over(f"the code started more than {self._bounds.processes} processes")
        if full := self._overfull():
            raise _Over(full)

    def _overfull(self) -> str | None:
        if self._workspace is None:
            return None  # the workspace is in memory, and of a fixed size
        return overfull(self._workspace, self._bounds.workspace_mb * 1_000_000, _MOST_FILES)

    def _start_error(self) -> str:
        """Return the reason that bubblewrap gave for not starting."""
        self._process.kill()
        self._process.wait()
        assert self._process.stderr is not None
        ready = select.select([self._process.stderr], [], [], 0.0)[0]
        raw = os.read(self._process.stderr.fileno(), 2_000) if ready else b""
        return " ".join(raw.decode("utf-8", "replace").split())[-300:]


class _Over(Exception):
    """The session is over. The message gives the reason."""


def _started(command: list[str]) -> "subprocess.Popen[bytes]":
    """Start bubblewrap. Call this on the permanent thread only."""
    filtered = os.memfd_create("filter")
    try:
        os.write(filtered, system_call_filter(platform.machine()))
        os.lseek(filtered, 0, os.SEEK_SET)
        process = subprocess.Popen(
            [part.format(filter=filtered) if part == "{filter}" else part for part in command],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # bubblewrap's first process keeps its environment, and the code can read it in /proc.
            env=ENVIRONMENT,
            cwd="/",
            pass_fds=[filtered],
            start_new_session=True,
        )
    finally:
        os.close(filtered)
    assert process.stdin is not None
    os.set_blocking(process.stdin.fileno(), False)
    return process


def _outcome(answer: dict[str, Any], most: int, ended: str | None) -> Outcome:
    """Return the outcome that an answer states. The code may have written the answer, so every value is checked."""

    def text(name: str, limit: int) -> str | None:
        value = answer.get(name)
        return value[:limit] if isinstance(value, str) else None

    left_out = answer.get("left_out")
    left_out = min(left_out, 10**12) if isinstance(left_out, int) and left_out > 0 else 0
    return Outcome(text("printed", most) or "", left_out, text("value", most), text("error", 4_000), ended)
