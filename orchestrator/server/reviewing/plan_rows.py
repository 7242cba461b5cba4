"""Plan rows: a plan as the rows of a table that a person edits, and the plan that the table means."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.control_characters import visible
from orchestrator.text import sound

_SEPARATORS = re.compile(r"[,;\s]+")
_MOST_ROWS = 1000


@dataclass(frozen=True)
class PlanRow:
    """A row of the table: one sub-task as it is typed.

    Args:
        id: Its id.
        description: The work.
        agent: The worker.
        needs: The ids that it depends on, separated by commas.
        needs_approval: A human must accept its result.
        was: Its id in the plan in question; empty for a new row.
    """

    id: str = ""
    description: str = ""
    agent: str = ""
    needs: str = ""
    needs_approval: bool = False
    was: str = ""

    @property
    def dependencies(self) -> list[str]:
        """The ids that it depends on."""
        return [name for name in _SEPARATORS.split(self.needs) if name]

    @property
    def is_blank(self) -> bool:
        """True for a row that was added and never filled in."""
        return not (self.was or self.description.strip() or self.id.strip())


def rows_of(plan: Sequence[Mapping[str, Any]]) -> list[PlanRow]:
    """Return the rows of a plan.

    Args:
        plan: Its sub-tasks in plain form.
    """
    return [
        PlanRow(
            str(each["id"]),
            str(each["description"]),
            str(each["target_agent"]),
            ", ".join(map(str, each.get("depends_on") or ())),
            bool(each.get("requires_approval")),
            str(each["id"]),
        )
        for each in plan
    ]


def typed_rows(form: Mapping[str, str]) -> list[PlanRow]:
    """Return the rows in a form.

    Args:
        form: The fields of the form by name; `rows` names the numbers of its rows, in order.
    """
    # A row that was taken out leaves a gap in the numbers, and a new one may stand anywhere.
    numbers = [number for number in form.get("rows", "").split() if number.isdecimal()][:_MOST_ROWS]
    return [
        PlanRow(
            sound(form.get(f"id-{number}", "")).strip(),
            sound(form.get(f"description-{number}", "")).replace("\r\n", "\n").strip(),
            sound(form.get(f"agent-{number}", "")),
            sound(form.get(f"needs-{number}", "")).strip(),
            f"approval-{number}" in form,
            form.get(f"was-{number}", ""),
        )
        for number in dict.fromkeys(numbers)
    ]


def with_new_row(rows: Sequence[PlanRow], agents: Sequence[str]) -> list[PlanRow]:
    """Return the rows with an empty one at the end, under an id that is free."""
    taken = {row.id for row in rows} | {row.was for row in rows}
    number = next(number for number in range(len(rows) + 1, len(rows) + len(taken) + 2) if f"t{number}" not in taken)
    return [*rows, PlanRow(f"t{number}", agent=agents[0] if agents else "")]


def without_row(rows: Sequence[PlanRow], at: int) -> list[PlanRow]:
    """Return the rows without one. What depended on it goes on without its result."""
    if not 0 <= at < len(rows):
        return list(rows)
    gone = rows[at].id  # as a human's revision drops a sub-task
    kept = [*rows[:at], *rows[at + 1 :]]
    return [
        replace(row, needs=", ".join(name for name in row.dependencies if name != gone))
        if gone in row.dependencies
        else row
        for row in kept
    ]


def plan_of(rows: Sequence[PlanRow], plan: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the sub-tasks that the rows mean, in plain form; unchecked.

    A dependency follows its sub-task when that gets another id. What the table does not show stays as it was.

    Args:
        rows: The rows.
        plan: The plan in question, in plain form.
    """
    before = {str(each["id"]): each for each in plan}
    filled = [row for row in rows if not row.is_blank]
    ids = {row.id for row in filled}
    renamed = {row.was: row.id for row in filled if row.was and row.was not in ids}
    sub_tasks = []
    for row in filled:
        # A page shows signs in the place of control characters. Untouched words stay what they were.
        description = row.description
        if row.was in before and description == _as_typed(str(before[row.was]["description"])):
            description = str(before[row.was]["description"])
        kept = {n: v for n, v in before.get(row.was, {}).items() if n in ("output_schema", "attempt", "feedback")}
        needs = list(dict.fromkeys(renamed.get(name, name) for name in row.dependencies))
        fields = {"id": row.id, "description": description, "target_agent": row.agent}
        sub_tasks.append(
            {
                **fields,
                **({"depends_on": needs} if needs else {}),
                **({"requires_approval": True} if row.needs_approval else {}),
                **kept,
            }
        )
    return sub_tasks


def _as_typed(text: str) -> str:
    """Return a text as a form sends it back: with signs in the place of control characters, as the page shows them."""
    return visible(text).replace("\r\n", "\n").strip()
