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
from datetime import UTC, datetime
from typing import Any

from langgraph.store.base import BaseStore, GetOp, PutOp
from langgraph.store.memory import InMemoryStore

from orchestrator.concurrency import Bridge
from orchestrator.errors import ConfigError
from orchestrator.journal.fact import Fact
from orchestrator.journal.journal import Journal
from orchestrator.persistence.namespaces import THREADS, namespace
from orchestrator.reviews.saved.instructions import (
    FIRST_ROW,
    STEERING,
    Instruction,
    first_number,
    instruction_key,
    instruction_rows,
    instructions_of,
    newest_number,
)
from orchestrator.text import count_tokens, sound
from orchestrator.validation import expect

MOST_CHARS = 4000
MOST_INSTRUCTIONS = 100

_THROTTLE_S = 0.5


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
    rows, at = await instruction_rows(bridge, store, thread_id), datetime.now(UTC)
    newest = newest_number(rows)
    if newest - first_number(rows) >= MOST_INSTRUCTIONS:
        raise ConfigError(f"thread '{thread_id}' has {MOST_INSTRUCTIONS} instructions already: begin another task")
    for number in itertools.count(newest + 1):
        instruction = Instruction(number, text, by, at)
        op = PutOp(namespace(thread_id, STEERING), instruction_key(number), instruction.plain(), index=False)
        fact = Fact("instruction_given", by=by, data={"text": text, "number": number})
        # Otherwise another process has taken the number.
        if await Journal(store, thread_id).insert(bridge, op, fact) is None:
            break
    _Recorded.count += 1
    return instruction


async def leave_instructions(bridge: Bridge, store: BaseStore, thread_id: str) -> list[PutOp]:
    """Return the operations after which a new task on a thread has none of the instructions that there are now."""
    return _left_behind(thread_id, await instruction_rows(bridge, store, thread_id))


def _left_behind(thread_id: str, rows: Mapping[str, Any]) -> list[PutOp]:
    row = {"after": newest_number(rows)}
    return [PutOp(namespace(thread_id, STEERING), FIRST_ROW, row, index=False)] if row["after"] else []


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
        rows = await instruction_rows(bridge, self._store, self._thread_id)
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
