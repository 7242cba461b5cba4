"""Revision: the supervisor's decision about failures, and how it changes the plan."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.errors import PlanError, shape_problems
from orchestrator.planning.plan import Plan
from orchestrator.planning.sub_task import SubTask


class Change(BaseModel):
    """One change of the plan.

    Args:
        action: The kind of the change.
        sub_task_id: The sub-task to change; for `add`, the id of the new one.
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
    """A decision of the supervisor.

    Args:
        reason: The reason, in its own words.
        decision: `revise` applies the changes, `finish` ends with the results so far, `ask_human` asks.
        changes: The changes for `revise`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str = ""
    decision: Literal["revise", "finish", "ask_human"]
    changes: tuple[Change, ...] = ()

    @classmethod
    def parse(cls, data: object) -> "Revision":
        """Read a revision from JSON-plain data.

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
    def retrying(cls, feedback: Mapping[str, str]) -> "Revision":
        """Return another attempt at each of these sub-tasks, with feedback by id."""
        changes = tuple(Change(action="retry", sub_task_id=task_id, text=text) for task_id, text in feedback.items())
        return cls(decision="revise", changes=changes)

    @property
    def widens(self) -> bool:
        """True if it adds work or moves work to another agent, which a human who approved the plan has not seen."""
        return any(change.action in ("add", "reassign") for change in self.changes)

    def apply(self, plan: Plan, *, attempts: int) -> Plan:
        """Return the plan after the changes, one after the other; unchecked.

        Raises:
            PlanError: A change does not fit the plan that the changes before it leave, or a sub-task has no attempt
                left.
        """
        if self.decision != "revise":
            return plan
        tasks = dict(plan.by_id)
        problems = []  # all of them at once: a model gets few repairs
        for change in self.changes:
            if problem := _problem(change, tasks, plan, attempts):
                problems.append(problem)
            else:
                _apply_change(change, tasks, plan)
        if problems:
            raise PlanError(problems)
        return Plan(sub_tasks=tuple(tasks.values()))


def _problem(change: Change, tasks: dict[str, SubTask], plan: Plan, attempts: int) -> str:
    """Return why the change cannot be made, or an empty text.

    Args:
        change: The change.
        tasks: The sub-tasks after the changes before this one, by id.
        plan: The plan before all changes.
        attempts: Most tries at one sub-task.
    """
    task_id = change.sub_task_id
    original = plan.by_id.get(task_id)
    if change.action == "add":
        # The id of a dropped sub-task is taken too: its dependents lost the dependency, and would not wait for a new
        # sub-task of that id.
        return f"the id '{task_id}' is taken: add it under another" if task_id in tasks or original else ""
    if task_id not in tasks:
        return (
            f"sub-task '{task_id}' is dropped by a change before" if original else f"there is no sub-task '{task_id}'"
        )
    if change.action == "drop":
        return ""
    if original is None:
        return f"sub-task '{task_id}' is only just added: nothing of it can be tried again"
    if original.attempt >= attempts:
        return f"sub-task '{task_id}' has used its {attempts} attempts: drop it or add another"
    return ""


def _apply_change(change: Change, tasks: dict[str, SubTask], plan: Plan) -> None:
    task_id = change.sub_task_id
    if change.action == "drop":  # its dependents go on without its result
        del tasks[task_id]
        for other in list(tasks.values()):
            if task_id in other.depends_on:
                kept = tuple(dep for dep in other.depends_on if dep != task_id)
                tasks[other.id] = other.model_copy(update={"depends_on": kept})
        return
    if change.action == "add":
        added = Plan.parse(
            [
                {
                    "id": task_id,
                    "description": change.text,
                    "target_agent": change.target_agent,
                    "depends_on": change.depends_on,
                }
            ]
        )
        tasks[task_id] = added.sub_tasks[0]
        return
    retried = tasks[task_id].retry(change.text or "try again in another way")
    # A model may both retry and reassign a sub-task: both are one further attempt.
    retried = retried.model_copy(update={"attempt": plan.by_id[task_id].attempt + 1})
    if change.action == "reassign":
        retried = retried.model_copy(update={"target_agent": change.target_agent})
    tasks[task_id] = retried
