"""The answer of a run, written by a model or assembled without one."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from orchestrator.memory.entry import Entry
from orchestrator.memory.reference import Reference
from orchestrator.planning.output_schema import TypedValue

_MOST_NAMED = 20
REFUSED = "The model refused to write an answer."
EMPTY = "The model gave an empty answer."


@dataclass(frozen=True)
class Answer:
    """The answer to the user's task.

    Args:
        text: The bare answer, without references.
        references: The results that it rests on.
        notes: Remarks about gaps and truncations, as sentences; empty for a whole answer.
        typed: The answer as data, if one of a schema was wanted and given.
        untyped: Why no data of the schema could be given, as a sentence; empty for none wanted, or given.
    """

    text: str
    references: tuple[Reference, ...] = ()
    notes: tuple[str, ...] = ()
    typed: TypedValue | None = None
    untyped: str = ""


def has_words(text: str) -> bool:
    """True if a text has words outside square brackets."""
    return re.search(r"\w", re.sub(r"\[[^]\n]*\]", "", text)) is not None


def left_out_note(sub_task_ids: Sequence[str]) -> str:
    """Name the sub-tasks whose results the prompt of an answer leaves out."""
    named = ", ".join(sub_task_ids[:_MOST_NAMED])
    others = f" and {len(sub_task_ids) - _MOST_NAMED} more" if len(sub_task_ids) > _MOST_NAMED else ""
    return f"there was no room for the results of {named}{others} when the answer was written"


def assembled(
    entries: Sequence[Entry],
    missing: Sequence[str],
    why: str = "The budget did not suffice to write an answer.",
    titles: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return an answer without a model: the results as they are, and the gaps.

    Args:
        entries: The results.
        missing: The gaps, as sentences.
        why: The reason, as a sentence.
        titles: What each result is about, by the id of its sub-task.
    """
    parts = [f"{why} These are the results as they stand."]
    parts += [f"{titles.get(entry.sub_task_id, entry.sub_task_id)}:\n{entry.text}" for entry in entries]
    if missing:
        parts.append("Missing:\n" + "\n".join(f"- {line}" for line in missing))
    return "\n\n".join(parts)
