"""Instruction: what a human told a run while it went on, and reading it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from orchestrator.concurrency import Bridge
from orchestrator.persistence.damage import UNREADABLE_ERRORS, unreadable_thread
from orchestrator.persistence.namespaces import namespace
from orchestrator.persistence.rows.pages import read_all

if TYPE_CHECKING:
    from orchestrator.persistence.rows.pages import Rows

# Stored in every database: keep these two.
STEERING = "steering"
FIRST_ROW = "from"
"""The row that says which instructions belong to the task; numbers are the keys of the others."""


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


def instruction_key(number: int) -> str:
    """Return the key of the row of an instruction."""
    return f"{number:06d}"


def newest_number(rows: Mapping[str, Any]) -> int:
    """Return the number of the last instruction on the thread."""
    return max((int(key) for key in rows if key != FIRST_ROW), default=0)


def first_number(rows: Mapping[str, Any]) -> int:
    """Return the number of the last instruction before the task."""
    return int(rows.get(FIRST_ROW, {}).get("after", 0))


async def instruction_rows(bridge: Bridge, store: "Rows", thread_id: str) -> dict[str, Any]:
    """Return the rows of all instructions of a thread, and the one that says which belong to the task."""
    items = await read_all(bridge, store, namespace(thread_id, STEERING))
    return {item.key: item.value for item in items if item.key == FIRST_ROW or item.key.isdigit()}


def _of_task(rows: Mapping[str, Any], after: int) -> tuple[Instruction, ...]:
    numbers = sorted(int(key) for key in rows if key != FIRST_ROW)
    return tuple(Instruction.parse(number, rows[instruction_key(number)]) for number in numbers if number > after)


async def instructions_of(bridge: Bridge, store: "Rows", thread_id: str) -> tuple[Instruction, ...]:
    """Return the instructions of a thread's last task, in the order in which they were given.

    Raises:
        PersistenceError: One cannot be read.
    """
    rows = await instruction_rows(bridge, store, thread_id)
    try:
        return _of_task(rows, first_number(rows))
    except UNREADABLE_ERRORS as error:
        raise unreadable_thread(thread_id, error) from error
