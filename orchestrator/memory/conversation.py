"""Conversation: the earlier tasks of a thread, with their answers and results.

When the next task begins, its predecessor moves into the conversation. The task, the answer and each result become
entries of the shared memory that carry the number of their turn. Invariants:

- Their keys begin with the number, as `1.answer` and `1.t1-3f0c…`. A sub-task of the new task has no dot in its id, so
  no earlier result is ever taken for the result of a new sub-task, even of the same words.
- Their taint stays. An answer is tainted by all results of its turn, and by the turns before it.
- What waited or was retracted is left out: no plan will ask for it again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.memory.entry import Entry, digest
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.memory.turns import ConversationTurn, answer_key, task_key
from orchestrator.text import count_tokens, excerpt
from orchestrator.trust import as_data, merged

_LEAST_TOKENS = 96
_MOST_LISTED = 12


@dataclass(frozen=True)
class Conversation:
    """The earlier tasks of a thread, oldest first.

    Args:
        turns: One for each earlier task.
        results: Their results by id, such as `1.t1`.
    """

    turns: tuple[ConversationTurn, ...] = ()
    results: Mapping[str, Entry] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.turns)

    @classmethod
    def of(cls, memory: SharedMemory) -> "Conversation":
        """Read the conversation in a loaded view of a shared memory."""
        turns: list[ConversationTurn] = []
        # By key and not by a search: a worker of a wide plan would look through all results of all others.
        while (answer := memory.seen(answer_key(len(turns) + 1))) is not None:
            task = memory.seen(task_key(len(turns) + 1)) or Entry("", "")
            turns.append(ConversationTurn.of(task, answer))
        if not turns:
            return _NONE
        results = {entry.sub_task_id: entry for entry in memory.entries() if entry.turn and entry.is_result}
        return cls(tuple(turns), results)

    @property
    def tainted_by(self) -> tuple[str, ...]:
        """The sources from outside that its answers and results rest on."""
        return merged(*(turn.tainted_by for turn in self.turns))

    def text(self, tokens: int) -> str:
        """Return the conversation for a prompt: the newest turn first to get room, and the oldest left out and counted.

        Args:
            tokens: The most that the text may cost.
        """
        blocks: list[str] = []
        for turn in reversed(self.turns):
            # The last turn in sight may fill the room; any other leaves a third of it to those before.
            room = tokens if turn.number == 1 else tokens * 2 // 3
            if room < _LEAST_TOKENS:
                blocks.append(f"({turn.number} earlier tasks are left out)")
                break
            blocks.append(self._block(turn, room))
            tokens -= count_tokens(blocks[-1]) + 1
        return "\n\n".join(reversed(blocks))

    def _block(self, turn: ConversationTurn, tokens: int) -> str:
        ids = [name for name in self.results if name.startswith(f"{turn.number}.")]
        listed = [f"[{name}] {digest(self.results[name].text)}" for name in ids[:_MOST_LISTED]]
        if len(ids) > _MOST_LISTED:
            listed.append(f"and {len(ids) - _MOST_LISTED} more results")
        whole = self._with(turn, turn.task, turn.answer or "(no answer)", listed)
        if count_tokens(whole) <= tokens:
            return whole
        task = excerpt(turn.task, tokens // 5, task_key(turn.number))
        results = excerpt("\n".join(listed), tokens // 5, answer_key(turn.number)).splitlines()[:-1]
        rest = tokens - count_tokens(self._with(turn, task, "", results))
        return self._with(turn, task, excerpt(turn.answer, max(16, rest), answer_key(turn.number)), results)

    def _with(self, turn: ConversationTurn, task: str, answer: str, results: Sequence[str]) -> str:
        known = "\nIts results:\n" + "\n".join(results) if results else ""
        said = as_data(answer + known, f"answer {turn.number}", trusted=not turn.tainted_by)
        return f"Task {turn.number}: {task}\n{said}"


_NONE = Conversation()


def kept_results(number: int, entries: Iterable[Entry]) -> list[Entry]:
    """Return the results of a task that has ended, as entries of its turn.

    Args:
        number: The number of the turn.
        entries: The entries of the shared memory.
    """
    return [
        replace(
            entry, key=f"{number}.{entry.key}", sub_task_id=f"{number}.{entry.sub_task_id}", outcome={}, turn=number
        )
        for entry in entries
        if not entry.turn and (entry.is_result or (entry.outcome.get("limit") and entry.text))
    ]
