"""Hostile Python, and what "contained" means: nothing outside is read, written, reached, or slowed down.

A module of its own, so that the cases can also be run by a child process that is another user:
`python hostile_python.py <folder> <python for the sandbox>` prints a line of JSON with the problems of each case.
"""

import json
import os
import re
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator_tools.python.process_tree import below
from orchestrator_tools.python.tools import PythonTool, python_tool

from tests.tools.hostile.hostile_cases import CASES, Hostile

SECRET = "swordfish"
TIME_LIMIT_S = 2.0
MEMORY_MB = 300
PROCESSES = 24
LONGEST_ANSWER = 4_500
"""Of output_characters=1000, the longest error and all notes."""
MOST_SECONDS = 40.0
"""Start, time limit and end of a session on a slow machine; what is not stopped takes for ever."""


class Surroundings:
    """What a piece of code could harm: a secret, a folder, and servers that wait for a connection.

    Args:
        place: A new folder for it all.
    """

    def __init__(self, place: Path) -> None:
        self.outside = place / "outside"
        self.outside.mkdir()
        self.canary = self.outside / "canary"
        self.canary.write_text(SECRET)
        self.before = set(_processes())
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.local = socket.socket(socket.AF_UNIX)
        self.path = tempfile.mktemp(dir="/tmp")  # short enough for a socket
        self.local.bind(self.path)
        self.abstract = socket.socket(socket.AF_UNIX)
        self.name = f"hostile-{os.getpid()}-{self.port}"
        self.abstract.bind(f"\0{self.name}")
        for server in (self.server, self.local, self.abstract):
            server.listen()
            server.setblocking(False)

    def filled(self, code: str) -> str:
        """The code with what it aims at."""
        for mark, value in {
            "@CANARY@": self.canary,
            "@OUTSIDE@": self.outside,
            "@PORT@": self.port,
            "@SOCKET@": self.path,
            "@ABSTRACT@": self.name,
            "@PID@": os.getpid(),
        }.items():
            code = code.replace(mark, str(value))
        return code

    def problems(self) -> list[str]:
        """What has been harmed."""
        found = []
        if [path.name for path in self.outside.iterdir()] != ["canary"] or self.canary.read_text() != SECRET:
            found.append("something outside was changed")
        for server in (self.server, self.local, self.abstract):
            try:
                server.accept()[0].close()
                found.append("a server was reached")
            except BlockingIOError:
                continue
        return found

    def sandboxes(self) -> list[int]:
        """Processes below this one that were not there at the beginning: other tests may have left some."""
        return [number for number in _processes() if number not in self.before]

    def close(self) -> None:
        """Closes the servers."""
        for server in (self.server, self.local, self.abstract):
            server.close()
        os.unlink(self.path)


@contextmanager
def surroundings(place: Path) -> Iterator[Surroundings]:
    """Surroundings for a while."""
    around = Surroundings(place)
    try:
        yield around
    finally:
        around.close()


def tool_for(backend: str, python: str | None = None) -> PythonTool:
    """The tool with limits that are soon reached."""
    return python_tool(
        backend,  # type: ignore[arg-type]
        time_limit_s=TIME_LIMIT_S,
        memory_mb=MEMORY_MB,
        output_characters=1_000,
        processes=PROCESSES,
        python=python,
    )


def problems_of(case: Hostile, tool: PythonTool, around: Surroundings, workspace: Path) -> tuple[str, list[str]]:
    """Runs a case and looks at what it did: the answer, and what was not contained."""
    full = tool.metadata is not None and tool.metadata["backend"] == "bubblewrap"
    config = {"configurable": {"sub_task_key": "hostile", "workspace": str(workspace)}}
    started = time.monotonic()
    answer = str(tool.invoke({"code": around.filled(case.code)}, config))
    found = around.problems()
    if time.monotonic() - started > MOST_SECONDS:
        found.append(f"it took {time.monotonic() - started:.0f} seconds")
    if SECRET in answer:
        found.append("the secret is in the answer")
    if len(answer) > LONGEST_ANSWER:
        found.append(f"the answer has {len(answer)} characters")
    if full and not re.search(case.says, answer):
        found.append(f"the answer is not the one expected: {answer[-400:]}")
    if (made := re.search(r"made (\d+)", answer)) and int(made[1]) > PROCESSES:
        found.append(f"{made[1]} processes were made")
    if case.spoils:
        tool.end_sub_task("hostile")
    found += _goes_on(tool, around, config, workspace)
    return answer, found


def _goes_on(tool: PythonTool, around: Surroundings, config: dict[str, dict[str, str]], workspace: Path) -> list[str]:
    """Whether nothing goes on between calls, and whether the next call gets its own answer."""
    found = []
    beats = workspace / "heartbeat"
    if beats.exists():
        before = beats.stat().st_size
        threading.Event().wait(0.2)
        if beats.stat().st_size != before:
            found.append("something goes on between calls")
    answer = str(tool.invoke({"code": "6 * 7"}, config))
    if answer.startswith("error:"):  # the session was ended for what the call before left behind
        answer = str(tool.invoke({"code": "6 * 7"}, config))
    if answer.splitlines()[-1:] != ["=> 42"]:
        found.append(f"the next call was answered with: {answer[:200]}")
    if beats.exists():
        tool.end_sub_task("hostile")
        left = around.sandboxes()
        if left and tool.metadata is not None and tool.metadata["backend"] == "bubblewrap":
            found.append(f"{len(left)} processes are left")
        before = beats.stat().st_size
        threading.Event().wait(0.2)
        if beats.stat().st_size != before:
            found.append("something goes on after the end")
    for path in workspace.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    return found


def _processes() -> list[int]:
    """The processes below this one that are still there, but for those from which other tests fork theirs."""
    found = []
    for process in below(os.getpid()):
        with suppress(OSError):
            command = Path(f"/proc/{process.number}/cmdline").read_bytes()
            if process.state not in "ZX" and b"multiprocessing" not in command:
                found.append(process.number)
    return found


def main() -> None:
    """Runs all cases in bubblewrap as whoever runs this."""
    place, python = Path(sys.argv[1]), sys.argv[2]
    workspace = place / "workspace"
    workspace.mkdir()
    tool = tool_for("bubblewrap", python)
    with surroundings(place) as around:
        for case in CASES:
            answer, found = problems_of(case, tool, around, workspace)
            sys.stdout.write(json.dumps({"name": case.name, "answer": answer[:300], "problems": found}) + "\n")
            sys.stdout.flush()
    tool.end_sub_task("hostile")
    left = around.sandboxes()
    sys.stdout.write(json.dumps({"name": "the end", "answer": "", "problems": left}) + "\n")


if __name__ == "__main__":
    main()
