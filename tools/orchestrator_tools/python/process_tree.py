"""The processes below one process, on Linux: list them with their memory, stop them, and kill them.

Invariant: signals go through a handle that is checked after it was opened. So a process id that the kernel has given
to another process meanwhile gets no signal.
"""

import os
import select
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

_PAGE: Final = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_FREEZE_S: Final = 5.0
_STOPPED: Final = frozenset("TtZXx")  # stopped, traced, zombie and dead


@dataclass(frozen=True)
class Process:
    """A process at the time of a look at it.

    Args:
        number: The process id.
        parent: The process id of its parent.
        state: One letter, as in `ps`.
        born: The start of the process, in ticks. With the number it identifies the process.
        memory_bytes: Resident memory without files.
    """

    number: int
    parent: int
    state: str
    born: int
    memory_bytes: int


def below(root: int) -> list[Process]:
    """Return the processes below one, from the top down, without the process itself.

    Args:
        root: Process id of the one.
    """
    children: dict[int, list[Process]] = defaultdict(list)
    for name in os.listdir("/proc"):
        if name.isdigit() and (process := _look(int(name))) is not None:
            children[process.parent].append(process)
    found: list[Process] = []
    parents = [root]
    while parents:
        own = children.pop(parents.pop(), [])
        found += own
        parents += [process.number for process in own]
    return found


def freeze(root: int) -> bool:
    """Stop the processes in a sandbox, and return False if new ones keep starting.

    Args:
        root: The process that set up the sandbox. Its only child watches the processes inside, and is not stopped.
    """
    end = time.monotonic() + _FREEZE_S
    # A process may fork between the look at it and its signal, so the look is repeated.
    while time.monotonic() < end:
        running = [process for process in _inside(root) if process.state not in _STOPPED]
        if not running:
            return True
        for process in running:
            _send(process, signal.SIGSTOP)
        time.sleep(0.002)  # a process stops when the kernel runs it next
    return False


def thaw(root: int) -> None:
    """Continue stopped processes.

    Args:
        root: As for `freeze`.
    """
    for process in _inside(root):
        _send(process, signal.SIGCONT)


def kill(processes: list[Process], wait_s: float) -> None:
    """Kill processes and wait until they are gone, so that none of them writes afterwards.

    Args:
        processes: The processes.
        wait_s: Most seconds to wait; the kernel can hold a process up.
    """
    end = time.monotonic() + wait_s
    for process in processes:
        with suppress(ProcessLookupError), _handle(process) as handle:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    for process in processes:
        with suppress(ProcessLookupError), _handle(process) as handle:
            select.select([handle], [], [], max(0.0, end - time.monotonic()))


def _inside(root: int) -> list[Process]:
    processes = below(root)
    return [process for process in processes if process.parent != root]


def _send(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError), _handle(process) as handle:  # a process may have ended meanwhile
        signal.pidfd_send_signal(handle, number)


@contextmanager
def _handle(process: Process) -> Iterator[int]:
    """Open a handle of a process.

    Raises:
        ProcessLookupError: The process has ended.
    """
    handle = os.pidfd_open(process.number)
    try:
        now = _look(process.number)
        if now is None or now.born != process.born:
            raise ProcessLookupError
        yield handle
    finally:
        os.close(handle)


def _look(number: int) -> Process | None:
    try:
        with open(f"/proc/{number}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()  # the name in front can hold spaces and brackets
        with open(f"/proc/{number}/statm", encoding="ascii") as file:
            pages = file.read().split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    memory = (int(pages[1]) - int(pages[2])) * _PAGE  # without shared pages, which would count for each process
    return Process(number, int(fields[1]), fields[0], int(fields[19]), memory)
