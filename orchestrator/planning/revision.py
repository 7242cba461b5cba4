"""Revision: the supervisor's decision after trouble, and what it does to the plan."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.errors import PlanError, shape_problems
from orchestrator.planning.plan import Plan
from orchestrator.planning.sub_task import SubTask


class Change(BaseModel):
    """One change of the plan.

    Args:
        action: What to do with the sub-task.
        sub_task_id: Which one; for `add`, the id of the new one.
        text: For `retry` and `reassign` the feedback; for `add` the description.
        target_agent: For `reassign` and `add`.
        depends_on: For `add`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Literal["retry", "reassign", "add", "drop"]
    sub_task_id: str
    text: str = ""
    target_agent: str = ""
    depends_on: tuple[str, ...] = ()


class Revision(BaseModel):
    """What the supervisor decided.

    Args:
        reason: Why.
        decision: `revise` carries out the changes; `finish` ends with the results that there are.
        changes: For `revise`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str = ""
    decision: Literal["revise", "finish", "ask_human"]
    changes: tuple[Change, ...] = ()

    @classmethod
    def parse(cls, data: object) -> "Revision":
        """Reads it from JSON-plain data.

        Raises:
            PlanError: The data has another shape, or revises without a change.
        """
        try:
            revision = cls.model_validate(data)
        except ValidationError as error:
            raise PlanError(shape_problems(error, "revision")) from None
        if revision.decision == "revise" and not revision.changes:
            raise PlanError(["'revise' needs at least one change"])
        return revision

    @classmethod
    def retrying(cls, told: Mapping[str, str]) -> "Revision":
        """Another attempt at each of these sub-tasks, with what its agent is told."""
        changes = tuple(Change(action="retry", sub_task_id=task_id, text=text) for task_id, text in told.items())
        return cls(decision="revise", changes=changes)

    @property
    def widens(self) -> bool:
        """Whether it adds work or moves it to another agent: a human who approved the plan has not seen that."""
        return any(change.action in ("add", "reassign") for change in self.changes)

    def apply(self, plan: Plan, *, attempts: int) -> Plan:
        """The plan after the changes, one after the other; unchecked.

        Raises:
            PlanError: A change does not fit the plan as the changes before it leave it, or a sub-task has no attempt
                left.
        """
        if self.decision != "revise":
            return plan
        tasks = dict(plan.by_id)
        problems = []
        for change in self.changes:
            if problem := _problem(change, tasks, plan, attempts):
                problems.append(problem)
            else:
                _carry_out(change, tasks, plan)
        if problems:
            raise PlanError(problems)
        return Plan(sub_tasks=tuple(tasks.values()))


def _problem(change: Change, tasks: dict[str, SubTask], plan: Plan, attempts: int) -> str:
    """Why the change cannot be made; `tasks` is what the changes before it have made of the plan."""
    task_id = change.sub_task_id
    before = plan.by_id.get(task_id)
    if change.action == "add":
        # Also of one that is dropped: whatever depended on that one no longer does, and would not wait for this one.
        return f"the id '{task_id}' is taken: add it under another" if task_id in tasks or before else ""
    if task_id not in tasks:
        return f"sub-task '{task_id}' is dropped by a change before" if before else f"there is no sub-task '{task_id}'"
    if change.action == "drop":
        return ""
    if before is None:
        return f"sub-task '{task_id}' is only just added: nothing of it can be tried again"
    if before.attempt >= attempts:
        return f"sub-task '{task_id}' has used its {attempts} attempts: drop it or add another"
    return ""


def _carry_out(change: Change, tasks: dict[str, SubTask], plan: Plan) -> None:
    task_id = change.sub_task_id
    if change.action == "drop":
        del tasks[task_id]
        for other in list(tasks.values()):
            if task_id in other.depends_on:
                kept = tuple(dep for dep in other.depends_on if dep != task_id)
                tasks[other.id] = other.model_copy(update={"depends_on": kept})
        return
    if change.action == "add":
        made = Plan.parse(
            [
                {
                    "id": task_id,
                    "description": change.text,
                    "target_agent": change.target_agent,
                    "depends_on": change.depends_on,
                }
            ]
        )
        tasks[task_id] = made.sub_tasks[0]
        return
    retried = tasks[task_id].retry(change.text or "try again in another way")
    # However many changes concern it, it is tried once more.
    retried = retried.model_copy(update={"attempt": plan.by_id[task_id].attempt + 1})
    if change.action == "reassign":
        retried = retried.model_copy(update={"target_agent": change.target_agent})
    tasks[task_id] = retried
