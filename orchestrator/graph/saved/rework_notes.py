"""Rework: a sub-task that was sent back, and reading it from the note of its round; see `graph.rework`."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.memory.entry import Entry
from orchestrator.planning.plan import Plan


@dataclass(frozen=True)
class Rework:
    """A sub-task that is sent back.

    Args:
        sub_task_id: The sub-task.
        feedback: The feedback for its next attempt.
        round: The number of the round in which the next attempt would be if it waited for the end of this one.
        keys: The keys before and after, by id, of the sub-task and of all that is built on it.
    """

    sub_task_id: str
    feedback: str
    round: int
    keys: Mapping[str, tuple[str, str]]

    def plain(self) -> dict[str, Any]:
        """Return the JSON-plain form."""
        keys = {task_id: list(pair) for task_id, pair in self.keys.items()}
        return {"sub_task": self.sub_task_id, "feedback": self.feedback, "round": self.round, "keys": keys}

    @classmethod
    def parse(cls, form: Mapping[str, Any]) -> "Rework":
        """Read the plain form."""
        keys = {task_id: (before, after) for task_id, (before, after) in form["keys"].items()}
        return cls(form["sub_task"], form["feedback"], form["round"], keys)


def note_key(number: int) -> str:
    """Return the key of the note about the rework of a round."""
    return f"reworks-{number}"


def reworks_in(note: Entry | None) -> list[Rework]:
    """Return the rework that a note tells of, in order."""
    return [] if note is None else [Rework.parse(form) for form in json.loads(note.text)]


def reworked(plan: Plan, reworks: Collection[Rework]) -> Plan:
    """Return the plan with the versions of its sub-tasks that rework has led to."""
    for rework in reworks:
        before, _ = rework.keys[rework.sub_task_id]
        # Of a plan in another branch of the thread's history, a sub-task of that id may be another one.
        if plan.keys.get(rework.sub_task_id) == before:
            plan = plan.replace(plan.by_id[rework.sub_task_id].retry(rework.feedback))
    return plan
