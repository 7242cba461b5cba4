"""Instructions: what a human tells a run while the run goes on.

An instruction is a row of the store with a number. The workers and the supervisor read the rows before each of their
model calls, so that every step that begins after `record_instruction` has returned sees the instruction.

Invariants:
- Numbers on a thread go up by one, whichever processes write at once.
- A task sees the instructions that were given since it was begun. A later task on the thread does not inherit them.
- An instruction is trusted: it is a human's word. It never ends a run, whatever it says.
"""

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from langgraph.store.base import BaseStore, GetOp, PutOp, SearchItem
from langgraph.store.memory import InMemoryStore

from orchestrator.concurrency import Bridge
from orchestrator.errors import ConfigError
from orchestrator.journal.fact import Fact
from orchestrator.journal.journal import Journal
from orchestrator.persistence.damage import UNREADABLE_ERRORS, unreadable_thread
from orchestrator.persistence.namespaces import THREADS, namespace
from orchestrator.persistence.rows.pages import read_all
from orchestrator.text import count_tokens, sound
from orchestrator.validation import expect

MOST_CHARS = 4000
MOST_INSTRUCTIONS = 100

_KIND = "steering"
_FROM = "from"  # the row that says which instructions belong to the task; numbers are the keys of the others
_THROTTLE_S = 0.5


@dataclass(frozen=True)
class Instruction:
    """An instruction of a human to a run.

    Args:
        number: Its place among the instructions of the thread, from 1.
        text: The instruction.
        by: The user who gave it; empty where the system has none.
        at: The time at which it was given, in UTC.
    """

    number: int
    text: str
    by: str
    at: datetime

    def plain(self) -> dict[str, Any]:
        """Return the JSON-plain form."""
        return {"number": self.number, "text": self.text, "by": self.by, "at": self.at.isoformat()}

    @classmethod
    def parse(cls, number: int, row: Mapping[str, Any]) -> "Instruction":
        """Read the row of an instruction."""
        return cls(number, str(row["text"]), str(row.get("by", "")), datetime.fromisoformat(row["at"]))


class _Recorded:
    """Counts the instructions that this process has recorded, in any store."""

    count = 0


def check_instruction(text: object) -> str:
    """Return the text of an instruction, with characters that every database takes.

    Raises:
        ConfigError: It is no text, empty or too long.
    """
    expect(str, text, "the instruction", "a text that says what to do")
    checked = sound(str(text)).strip()
    if not checked:
        raise ConfigError("the instruction is empty: say what to do")
    if len(checked) > MOST_CHARS:
        raise ConfigError(
            f"an instruction has at most {MOST_CHARS:,} characters, and this one has {len(checked):,}: shorten it, or "
            "begin a task with it"
        )
    return checked


async def record_instruction(bridge: Bridge, store: BaseStore, thread_id: str, text: str, by: str) -> Instruction:
    """Record an instruction durably.

    Args:
        bridge: Reaches the store.
        store: The store of the thread.
        thread_id: The thread.
        text: A text that `check_instruction` has returned.
        by: The user who gives it.

    Raises:
        ConfigError: The task has too many instructions already.
    """
    rows, at = await _rows(bridge, store, thread_id), datetime.now(UTC)
    newest = _newest(rows)
    if newest - _first(rows) >= MOST_INSTRUCTIONS:
        raise ConfigError(f"thread '{thread_id}' has {MOST_INSTRUCTIONS} instructions already: begin another task")
    for number in itertools.count(newest + 1):
        instruction = Instruction(number, text, by, at)
        op = PutOp(namespace(thread_id, _KIND), _key(number), instruction.plain(), index=False)
        fact = Fact("instruction_given", by=by, data={"text": text, "number": number})
        # Otherwise another process has taken the number.
        if await Journal(store, thread_id).insert(bridge, op, fact) is None:
            break
    _Recorded.count += 1
    return instruction


def _key(number: int) -> str:
    return f"{number:06d}"


def _newest(rows: Mapping[str, Any]) -> int:
    return max((int(key) for key in rows if key != _FROM), default=0)


def _first(rows: Mapping[str, Any]) -> int:
    """Return the number of the last instruction before the task."""
    return int(rows.get(_FROM, {}).get("after", 0))


async def _rows(bridge: Bridge, store: BaseStore, thread_id: str) -> dict[str, Any]:
    items: list[SearchItem] = await read_all(bridge, store, namespace(thread_id, _KIND))
    return {item.key: item.value for item in items if item.key == _FROM or item.key.isdigit()}


def _of_task(rows: Mapping[str, Any], after: int) -> tuple[Instruction, ...]:
    numbers = sorted(int(key) for key in rows if key != _FROM)
    return tuple(Instruction.parse(number, rows[_key(number)]) for number in numbers if number > after)


async def instructions_of(bridge: Bridge, store: BaseStore, thread_id: str) -> tuple[Instruction, ...]:
    """Return the instructions of a thread's last task, in the order in which they were given.

    Raises:
        PersistenceError: One cannot be read.
    """
    rows = await _rows(bridge, store, thread_id)
    try:
        return _of_task(rows, _first(rows))
    except UNREADABLE_ERRORS as error:
        raise unreadable_thread(thread_id, error) from error


async def leave_instructions(bridge: Bridge, store: BaseStore, thread_id: str) -> list[PutOp]:
    """Return the operations after which a new task on a thread has none of the instructions that there are now."""
    return _left_behind(thread_id, await _rows(bridge, store, thread_id))


def _left_behind(thread_id: str, rows: Mapping[str, Any]) -> list[PutOp]:
    row = {"after": _newest(rows)}
    return [PutOp(namespace(thread_id, _KIND), _FROM, row, index=False)] if row["after"] else []


class Steering:
    """The instructions of one run, as its nodes see them.

    Args:
        store: The store of the thread.
        thread_id: The thread.
    """

    def __init__(self, store: BaseStore, thread_id: str) -> None:
        self._store = store
        self._thread_id = thread_id
        self._foreign_changes = getattr(store, "foreign_changes", None)
        self._seen: object = None
        self._instructions: tuple[Instruction, ...] = ()

    async def read(self, bridge: Bridge) -> tuple[Instruction, ...]:
        """Return the instructions so far. The store is read only if a process may have written one."""
        state = self._state()
        if state != self._seen:
            self._instructions = await instructions_of(bridge, self._store, self._thread_id)
            self._seen = state  # from before the reading: what is written meanwhile is another state
        return self._instructions

    def _state(self) -> object:
        """Return a value that is another one once an instruction may have been recorded."""
        if self._foreign_changes is not None:
            return _Recorded.count, self._foreign_changes()
        if isinstance(self._store, InMemoryStore):  # no other process writes to it
            return (_Recorded.count,)
        # Other stores cannot tell. They are read at most twice a second.
        return _Recorded.count, int(time.monotonic() / _THROTTLE_S)

    async def begin(self, bridge: Bridge, task: str) -> list[PutOp]:
        """Return the operations that leave the instructions of earlier tasks behind, for the start of a run.

        There are none where `TaskOrchestrator` has begun the task. It did so itself when it listed the thread with the
        new task, and what was given since is for that task.

        Args:
            bridge: Reaches the store.
            task: The task.
        """
        state = self._state()
        rows = await _rows(bridge, self._store, self._thread_id)
        if not rows:
            self._seen = state  # which spares a run without instructions another reading
            return []
        listed: Any = (await bridge.batch(self._store, [GetOp(THREADS, self._thread_id)]))[0]
        is_listed = listed is not None and listed.value.get("task") == task
        return [] if is_listed else _left_behind(self._thread_id, rows)


def instructions_text(instructions: Sequence[Instruction], tokens: int) -> str:
    """Return instructions as a list for a prompt, the newest whole; empty if there is none.

    Args:
        instructions: In the order in which they were given.
        tokens: The most that the list may cost, unless the newest alone costs more.
    """
    lines: list[str] = []
    for instruction in reversed(instructions):
        line = f"- {instruction.text}"
        if lines and (tokens := tokens - count_tokens(line)) < 0:
            lines.append(f"- ({instruction.number} older ones are left out)")
            break
        lines.append(line)
    if not lines:
        return ""
    return "\n".join(
        ["What a human has added since, the newest last. It goes before what was said before:", *lines[::-1]]
    )
