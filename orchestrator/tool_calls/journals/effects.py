"""The journal of tool calls: effects that must happen once.

Such a call is noted in the shared memory, durably, before it is made, and its answer is noted after it. A process
that resumes the thread reads the note first. With an answer in it, the call is not made again. Without one, nobody
knows if the call had its effect.

A long answer of any tool is kept under the same key, so that a worker can read on in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from langchain_core.messages import AIMessage, BaseMessage

from orchestrator.concurrency import Bridge
from orchestrator.journal.fact import Fact
from orchestrator.memory.entry import Entry
from orchestrator.memory.shared_memory import SharedMemory

_REPETITION = "repetition"


def call_identity(messages: Sequence[BaseMessage], call_id: str | None) -> str:
    """Return a name of a call that is unique in its sub-task and the same after a resume.

    Args:
        messages: The conversation up to the call.
        call_id: The call's own id.
    """
    # The id alone is not unique: some endpoints give the first call of every message the same id.
    step = sum(isinstance(message, AIMessage) for message in messages)
    return f"{step}-{call_id}"


@dataclass(frozen=True)
class CallJournal:
    """The note of one call.

    Args:
        bridge: How to reach the memory.
        memory: The thread's shared memory.
        sub_task_key: The key of the sub-task that calls.
        identity: See `call_identity`.
        tool: The tool's name.
    """

    bridge: Bridge
    memory: SharedMemory
    sub_task_key: str
    identity: str
    tool: str

    @property
    def key(self) -> str:
        """The key of the note in the shared memory."""
        return f"call-{self.sub_task_key}-{self.identity}"

    async def read(self) -> Entry | None:
        """Return the note of an earlier process, or None if the call was never begun."""
        return await self.memory.fetch(self.bridge, self.key)

    async def begin(self, repetition: int = 0, facts: Sequence[Fact] = ()) -> None:
        """Note that the call is about to be made.

        Args:
            repetition: Number of times that it was begun before, by processes that are gone.
            facts: What the journal of the thread tells of it.
        """
        outcome = {_REPETITION: repetition} if repetition else {}
        note = Entry(key=self.key, text="", status="note", agent=self.tool, outcome=outcome)
        await self.memory.write(self.bridge, note, facts=facts)

    async def pause(self) -> int:
        """Note that the call waits for the answer of a human, and has to be made again. Return its repetition."""
        begun = await self.read()
        repetition = repetition_of(begun) if begun is not None else 0
        outcome = {"paused": True} | ({_REPETITION: repetition} if begun is not None else {})
        await self.memory.write(
            self.bridge, Entry(key=self.key, text="", status="note", agent=self.tool, outcome=outcome)
        )
        return repetition

    async def finish(
        self, text: str, *, trusted: bool, tainted_by: tuple[str, ...], facts: Sequence[Fact] = ()
    ) -> None:
        """Note the whole answer of the call.

        Args:
            text: The answer.
            trusted: True if it may be relied on.
            tainted_by: Labels of its sources from outside.
            facts: What the journal of the thread tells of it.
        """
        note = Entry(
            key=self.key,
            text=text,
            status="note",
            agent=self.tool,
            trusted=trusted,
            tainted_by=tainted_by,
            outcome={"done": True},
        )
        await self.memory.write(self.bridge, note, facts=facts)


def repetition_of(note: Entry) -> int:
    """Return the number of the repetition that a note stands for; 0 for the first time that the call was begun."""
    number = note.outcome.get(_REPETITION, 0)
    return number if isinstance(number, int) else 0


def is_answered(note: Entry) -> bool:
    """True if a note holds the answer of its call."""
    return bool(note.outcome.get("done"))


def is_paused(note: Entry) -> bool:
    """True if the call of a note waits for the answer of a human."""
    return bool(note.outcome.get("paused"))
