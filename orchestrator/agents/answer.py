"""The answer of a run: its references, and the answer without a model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from langchain_core.messages import BaseMessage

from orchestrator.budget.spend import Spend
from orchestrator.memory.entry import Entry

_MOST_NAMED = 20
REFUSED = "The model refused to write an answer."
EMPTY = "The model gave an empty answer."
# One or several ids of sub-tasks in square brackets.
_REFERENCE = re.compile(r"\[([A-Za-z0-9][A-Za-z0-9_, -]*)\]")


@dataclass(frozen=True)
class Answer:
    """The answer to the user's task.

    Args:
        text: The answer, with references to the sub-tasks.
        spent: Tokens and calls.
        notes: Remarks about gaps and truncations, as sentences; empty for a whole answer.
    """

    text: str
    spent: Spend = field(default_factory=Spend)
    notes: tuple[str, ...] = ()


def has_words(reply: BaseMessage) -> bool:
    """True if a reply has words outside square brackets."""
    return re.search(r"\w", re.sub(r"\[[^]\n]*\]", "", str(reply.text))) is not None


def left_out_note(sub_task_ids: Sequence[str]) -> str:
    """Name the sub-tasks whose results the prompt of an answer leaves out."""
    named = ", ".join(sub_task_ids[:_MOST_NAMED])
    others = f" and {len(sub_task_ids) - _MOST_NAMED} more" if len(sub_task_ids) > _MOST_NAMED else ""
    return f"there was no room for the results of {named}{others} when the answer was written"


def with_references(text: str, sub_task_ids: Sequence[str]) -> str:
    """Return the answer, with a closing line of references if the model gave none."""
    known = set(sub_task_ids)
    named = {part.strip() for reference in _REFERENCE.findall(text) for part in reference.split(",")}
    if not text or not known or named & known:
        return text
    return f"{text}\n\nFrom: {' '.join(f'[{task_id}]' for task_id in sub_task_ids)}"


def assembled(
    entries: Sequence[Entry], missing: Sequence[str], why: str = "The budget did not suffice to write an answer."
) -> str:
    """Return an answer without a model: the results as they are, and the gaps."""
    parts = [f"{why} These are the results as they stand."]
    parts += [f"[{entry.sub_task_id}] {entry.text}" for entry in entries]
    if missing:
        parts.append("Missing:\n" + "\n".join(f"- {line}" for line in missing))
    return "\n\n".join(parts)
