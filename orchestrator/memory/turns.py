"""ConversationTurn: an earlier task of a thread, and reading it. `memory.conversation` has all of them together."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.concurrency import Bridge
from orchestrator.memory.entry import Entry
from orchestrator.memory.reference import Reference
from orchestrator.persistence.namespaces import namespace
from orchestrator.persistence.rows.pages import read_keys

if TYPE_CHECKING:
    from orchestrator.persistence.rows.pages import Rows


@dataclass(frozen=True)
class ConversationTurn:
    """An earlier task of a thread.

    Args:
        number: 1 for the first task of the thread.
        task: The task.
        answer: Its answer; empty if the run ended without one.
        status: The status that its run ended with.
        references: The results that the answer rests on, under their present keys.
        usage: Tokens and calls of its run.
        cost_usd: Cost of its run; None where the price of a model is unknown.
        tainted_by: The sources from outside that the answer may rest on.
    """

    number: int
    task: str
    answer: str = ""
    status: str = ""
    references: tuple[Reference, ...] = ()
    usage: dict[str, int] = field(default_factory=dict)
    cost_usd: float | None = None
    tainted_by: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return the JSON-plain form."""
        return {
            **self.__dict__,
            "references": [reference.plain() for reference in self.references],
            "tainted_by": list(self.tainted_by),
        }

    def entries(self) -> list[Entry]:
        """Return the entries that keep the task and the answer."""
        about = {
            "ended": self.status,
            "references": [reference.plain() for reference in self.references],
            "usage": self.usage,
            "cost_usd": self.cost_usd,
        }
        task = Entry(task_key(self.number), self.task, status="note", turn=self.number)
        answer = Entry(
            answer_key(self.number),
            self.answer,
            trusted=not self.tainted_by,
            tainted_by=self.tainted_by,
            status="note",
            outcome=about,
            turn=self.number,
        )
        return [task, answer]

    @classmethod
    def of(cls, task: Entry, answer: Entry) -> "ConversationTurn":
        """Read the two entries."""
        about = answer.outcome
        return cls(
            number=answer.turn,
            task=task.text,
            answer=answer.text,
            status=about.get("ended", ""),
            references=tuple(Reference.parse(form) for form in about.get("references", ())),
            usage=dict(about.get("usage", {})),
            cost_usd=about.get("cost_usd"),
            tainted_by=answer.taint,
        )


def task_key(number: int) -> str:
    """Return the key of an earlier task's text."""
    return f"{number}.task"


def answer_key(number: int) -> str:
    """Return the key of an earlier task's answer."""
    return f"{number}.answer"


async def read_turns(bridge: Bridge, store: "Rows", thread_id: str, count: int) -> tuple[ConversationTurn, ...]:
    """Return the first turns of a thread, without the rest of its memory.

    Args:
        bridge: How to reach the store.
        store: Holds the shared memory.
        thread_id: The thread.
        count: Number of turns.
    """
    space = namespace(thread_id, "memory")
    keys = [key for number in range(1, count + 1) for key in (task_key(number), answer_key(number))]
    items = await read_keys(bridge, store, space, keys)
    found = {key: Entry.parse(key, item.value) for key, item in zip(keys, items, strict=True) if item is not None}
    numbers = [number for number in range(1, count + 1) if answer_key(number) in found]
    return tuple(
        ConversationTurn.of(found.get(task_key(number), Entry("", "")), found[answer_key(number)]) for number in numbers
    )
