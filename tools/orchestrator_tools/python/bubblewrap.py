"""Full CPython, with the libraries that are installed, in a sandbox of Linux namespaces made by bubblewrap.

One process for each session, which keeps the session's names. It sees the system's programs and the Python
installation, read only, and the workspace; no other file, no network, none of the environment, none of the other
processes. What each layer is for:

- namespaces and mounts: files, network, processes;
- a real unprivileged user: the kernel limits no processes of root, not even of root in a user namespace. Where this
  program runs as root, bubblewrap sets the mounts up as root and the process inside becomes an ordinary user before
  it reads the first line of code; else a user namespace does that;
- limits of the process, and a watch from outside for what they do not add up: memory and number of all processes,
  the size of the workspace;
- a filter of system calls (see `system_calls`);
- between two calls all is frozen, so that nothing goes on in the background unseen.

If any of it cannot be had, nothing runs.
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

# Parent and child are bound to the *thread* that started the child: the kernel ends the sandbox when that thread
# ends. Threads that call tools come and go, so one thread that stays starts them all.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sandbox-starter")


class BubblewrapSandbox:
    """Sessions in bubblewrap.

    Args:
        bounds: What each may use.
        program: The Python interpreter to run; None for the one that runs this.

    Raises:
        SandboxUnavailableError: This is no system that bubblewrap runs on.
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
        """A new session.

        Args:
            workspace: Its folder; made when it is missing. None gives it an empty one that ends with it.

        Raises:
            SandboxUnavailableError: bubblewrap is not there, or does not work here.
        """
        bubblewrap = shutil.which("bwrap")
        if bubblewrap is None:
            raise SandboxUnavailableError(f"the program 'bwrap' is not there; {_INSTALL}")
        if workspace is not None:
            workspace = workspace.absolute()
            make_private_folder(workspace)
        uid = ordinary_user(workspace) if os.getuid() == 0 else None
        command = [bubblewrap, *arguments(Installation.of(self.program), workspace, self.bounds, uid)]
        return BubblewrapPython(command, workspace, self.bounds, uid)

    def close(self) -> None:
        """Does nothing: there is nothing between sessions."""


class BubblewrapPython:
    """One session; its pieces of code must not run at the same time.

    Args:
        command: Starts bubblewrap; `{filter}` in it stands for the number of the open system call filter.
        workspace: The folder that it shares with the session.
        bounds: What it may use.
        uid: The user inside when this program is root; None when it is not.

    Raises:
        SandboxUnavailableError: It does not start.
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
            said = self._said()
            self.end()
            raise SandboxUnavailableError(f"bubblewrap does not work here ({said or over}); {_INSTALL}") from over
        if ready.get("id") != "ready":
            self.end()
            raise SandboxUnavailableError(f"bubblewrap does not work here; {_INSTALL}")
        freeze(self._pid)

    def run(self, code: str) -> Outcome:
        """Runs a piece of code.

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
        """Kills everything in the sandbox: its first process dies with bubblewrap, and all others with that."""
        with self._ending:
            if self._ended:
                return
            self._ended = True
            inside = below(self._pid)  # its own first process comes first, and with that all others die
            self._process.kill()
            kill(inside, _START_S)
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
                if stream is not None:
                    stream.close()

    def _asked(self, code: str) -> dict[str, Any]:
        if self._unread or self._readable(0.0):
            raise _Over("the code spoke without having been asked")
        if self._workspace is not None and self._uid is not None:
            hand_over(self._workspace, self._uid)  # files that other tools have put there meanwhile
        number = secrets.token_hex(8)
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
        """The next answer. What comes from the sandbox is the code's word, so its size and form are checked."""
        assert self._process.stdout is not None
        most = 20 * self._bounds.characters + 100_000
        look = time.monotonic() + _WATCH_S
        while b"\n" not in self._unread:
            now = time.monotonic()
            if now >= end:
                raise _Over(f"the code ran longer than {self._bounds.time_limit_s:g} seconds")
            if now >= look:  # by the clock, so that code which keeps talking is looked at too
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
        """What no limit of a single process adds up."""
        inside = below(self._pid)
        if sum(process.memory_bytes for process in inside) > self._bounds.memory_mb * 1_000_000:
            raise _Over(f"the code used more than {self._bounds.memory_mb} MB of memory")
        if len(inside) > self._bounds.processes + 2:
            raise _Over(f"the code started more than {self._bounds.processes} processes")
        if full := self._overfull():
            raise _Over(full)

    def _overfull(self) -> str | None:
        if self._workspace is None:
            return None  # then it is in memory, and of a fixed size
        return overfull(self._workspace, self._bounds.workspace_mb * 1_000_000, _MOST_FILES)

    def _said(self) -> str:
        """What bubblewrap gave as the reason not to start."""
        self._process.kill()
        self._process.wait()
        assert self._process.stderr is not None
        ready = select.select([self._process.stderr], [], [], 0.0)[0]
        raw = os.read(self._process.stderr.fileno(), 2_000) if ready else b""
        return " ".join(raw.decode("utf-8", "replace").split())[-300:]


class _Over(Exception):
    """The session is over; the message says why."""


def _started(command: list[str]) -> "subprocess.Popen[bytes]":
    """Runs on the thread that stays."""
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
            # bubblewrap's own first process keeps its environment, where the code could read it.
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
    """An answer as what it claims to be, with nothing else in it."""

    def text(name: str, limit: int) -> str | None:
        value = answer.get(name)
        return value[:limit] if isinstance(value, str) else None

    left_out = answer.get("left_out")
    left_out = min(left_out, 10**12) if isinstance(left_out, int) and left_out > 0 else 0
    return Outcome(text("printed", most) or "", left_out, text("value", most), text("error", 4_000), ended)
