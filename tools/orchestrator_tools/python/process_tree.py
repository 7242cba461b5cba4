"""The processes below one process, on Linux: how many they are, what memory they hold, and how to stop them all.

Each is signalled through a handle that is checked after it was opened, so that a number which has meanwhile passed on
to a stranger hits nobody.
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
_STOPPED: Final = frozenset("TtZXx")


@dataclass(frozen=True)
class Process:
    """A process as it was seen.

    Args:
        number: Its process id.
        parent: Its parent's.
        state: One letter, as in `ps`.
        born: When it started, in ticks; together with the number it is this process and no other.
        memory_bytes: What it holds in memory, without files.
    """

    number: int
    parent: int
    state: str
    born: int
    memory_bytes: int


def below(root: int) -> list[Process]:
    """The processes below one, from the top down, without itself.

    Args:
        root: Its process id.
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
    """Stops the processes below one, those that set up the sandbox excepted; False when new ones keep coming.

    Args:
        root: The process that set up the sandbox; its only child looks after those inside.
    """
    end = time.monotonic() + _FREEZE_S
    while time.monotonic() < end:
        running = [process for process in _inside(root) if process.state not in _STOPPED]
        if not running:
            return True
        for process in running:
            _send(process, signal.SIGSTOP)
        time.sleep(0.002)  # a process stops only when its turn comes
    return False


def thaw(root: int) -> None:
    """Lets stopped processes go on.

    Args:
        root: As for `freeze`.
    """
    for process in _inside(root):
        _send(process, signal.SIGCONT)


def kill(processes: list[Process], wait_s: float) -> None:
    """Kills processes and waits until they are gone, so that nothing of them writes afterwards.

    Args:
        processes: Which.
        wait_s: Most seconds to wait; a process may be held up by the kernel.
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
    with suppress(ProcessLookupError), _handle(process) as handle:  # it may be gone meanwhile
        signal.pidfd_send_signal(handle, number)


@contextmanager
def _handle(process: Process) -> Iterator[int]:
    """A process, held open.

    Raises:
        ProcessLookupError: It is gone.
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
            fields = file.read().rpartition(")")[2].split()  # the name before it may have any signs in it
        with open(f"/proc/{number}/statm", encoding="ascii") as file:
            pages = file.read().split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    memory = (int(pages[1]) - int(pages[2])) * _PAGE
    return Process(number, int(fields[1]), fields[0], int(fields[19]), memory)
