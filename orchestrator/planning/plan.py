"""Plan: a DAG of sub-tasks, its rules, and the order and keys that follow from it.

A sub-task's *key* is a hash over its specification and the keys of its dependencies. A result is filed under
the key, so a revised sub-task never reuses the result of the one that it replaces, and whatever was built on it
has a new key too and runs again. Nothing else in the engine has to track what became stale.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Any, Self, overload

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from orchestrator.errors import PlanError
from orchestrator.planning.outcome import Outcome
from orchestrator.text import shorten, sound


class SubTask(BaseModel):
    """One node of the plan.

    Args:
        id: Short and unique in the plan; letters, digits, `_`, `-`.
        description: What to do, in words that the worker understands without seeing the plan.
        target_agent: Name of the worker that executes it.
        depends_on: Ids of the sub-tasks whose results it needs.
        requires_approval: Whether a human must accept the result before anything is built on it.
        attempt: 1 for the first try; set by the engine.
        feedback: What earlier attempts were told, oldest first; set by the engine.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    description: str = Field(min_length=1)
    target_agent: str = Field(min_length=1)
    depends_on: tuple[str, ...] = ()
    requires_approval: bool = False
    attempt: int = Field(default=1, ge=1, le=10_000)
    feedback: tuple[str, ...] = ()

    @field_validator("feedback")
    @classmethod
    def _sound(cls, feedback: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(sound, feedback))

    def retry(self, feedback: str) -> Self:
        """The same sub-task as a new attempt that has been told `feedback`."""
        return self.model_copy(update={"attempt": self.attempt + 1, "feedback": (*self.feedback, feedback)})

    def again(self) -> Self:
        """The same sub-task as a new attempt, after one that was cut off: there is nothing to do differently."""
        return self.model_copy(update={"attempt": self.attempt + 1})


class Plan(BaseModel):
    """A DAG of sub-tasks, and a sequence of them. Construct it freely; `check` says what is wrong with it.

    `for sub_task in plan`, `len(plan)`, `plan["t1"]`, `plan[0]` and `"t1" in plan` work.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sub_tasks: tuple[SubTask, ...]

    def __iter__(self) -> Iterator[SubTask]:  # type: ignore[override] # pydantic's gives pairs of field and value
        return iter(self.sub_tasks)

    def __len__(self) -> int:
        return len(self.sub_tasks)

    def __contains__(self, item: object) -> bool:
        return item in self.by_id if isinstance(item, str) else item in self.sub_tasks

    @overload
    def __getitem__(self, key: str | int) -> SubTask: ...

    @overload
    def __getitem__(self, key: slice) -> tuple[SubTask, ...]: ...

    def __getitem__(self, key: str | int | slice) -> SubTask | tuple[SubTask, ...]:
        return self.by_id[key] if isinstance(key, str) else self.sub_tasks[key]

    @classmethod
    def parse(cls, data: object) -> "Plan":
        """Read a plan from a plan, JSON-plain data of one, or a bare list of sub-tasks.

        Raises:
            PlanError: The data is not of the plan's shape; each problem names its place.
        """
        try:
            return cls.model_validate({"sub_tasks": data} if isinstance(data, (list, tuple)) else data)
        except ValidationError as error:
            raise PlanError([_shape_problem(problem, data) for problem in error.errors()]) from None

    def check(self, agents: Collection[str], *, most: int | None = None, depth: int | None = None) -> "Plan":
        """Returns the plan itself when it is sound.

        Args:
            agents: Names of the workers that there are.
            most: Largest number of sub-tasks allowed; None for no bound.
            depth: Longest chain of dependencies allowed; None for no bound.

        Raises:
            PlanError: With one sentence for every problem found.
        """
        if problems := self.problems(agents, most=most, depth=depth):
            raise PlanError(problems)
        return self

    def problems(self, agents: Collection[str], *, most: int | None = None, depth: int | None = None) -> list[str]:
        """Every broken rule as a sentence that names the culprit; empty for a sound plan."""
        if not self.sub_tasks:
            return ["the plan is empty: it needs at least one sub-task"]
        found: list[str] = []
        if most is not None and len(self.sub_tasks) > most:
            found.append(f"the plan has {len(self.sub_tasks)} sub-tasks, the limit is {most}")
        seen: set[str] = set()
        for task in self.sub_tasks:
            if task.id in seen:
                found.append(f"sub-task id '{task.id}' is used more than once")
            seen.add(task.id)
        for task in self.sub_tasks:
            if task.target_agent not in agents:
                known = ", ".join(sorted(agents))
                found.append(f"sub-task '{task.id}' names the unknown agent '{task.target_agent}' (there are: {known})")
            if task.id in task.depends_on:
                found.append(f"sub-task '{task.id}' depends on itself")
            found.extend(
                f"sub-task '{task.id}' depends on '{dep}', which is not in the plan"
                for dep in dict.fromkeys(task.depends_on)
                if dep not in seen
            )
        if cycle := self._cycle():
            found.append("the dependencies form a cycle: " + " -> ".join(cycle))
        if not found and depth is not None and self.depth > depth:
            found.append(f"the longest chain of dependencies has {self.depth} sub-tasks, the limit is {depth}")
        return found

    @property
    def shape(self) -> str:
        """A digest of what the plan is, without attempts and feedback: a retry has the same shape."""
        parts = [
            [t.id, t.description, t.target_agent, sorted(t.depends_on), t.requires_approval] for t in self.sub_tasks
        ]
        return hashlib.sha256(json.dumps(sorted(parts)).encode()).hexdigest()[:16]

    @property
    def depth(self) -> int:
        """Sub-tasks in the longest chain of dependencies; only of a plan without cycles."""
        found: dict[str, int] = {}
        for task_id in self.order:
            found[task_id] = 1 + max((found[dep] for dep in self.by_id[task_id].depends_on), default=0)
        return max(found.values(), default=0)

    def _cycle(self) -> list[str]:
        known = self.by_id.keys()
        edges = {t.id: [d for d in t.depends_on if d in known and d != t.id] for t in self.sub_tasks}
        try:
            TopologicalSorter(edges).prepare()
        except CycleError as error:
            return list(error.args[1])
        return []

    @cached_property
    def by_id(self) -> dict[str, SubTask]:
        """The sub-tasks by id."""
        return {task.id: task for task in self.sub_tasks}

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Ids in topological order: dependencies always before dependents."""
        return tuple(TopologicalSorter({t.id: t.depends_on for t in self.sub_tasks}).static_order())

    def in_order(self) -> "Plan":
        """Return the plan with every sub-task behind its dependencies, so that a loop can execute one by one."""
        before: set[str] = set()
        for task in self.sub_tasks:
            if not before.issuperset(task.depends_on):
                return Plan(sub_tasks=tuple(self.by_id[task_id] for task_id in self.order))
            before.add(task.id)
        return self

    @cached_property
    def keys(self) -> dict[str, str]:
        """Each sub-task's key: its id and a hash of its specification and of its dependencies' keys."""
        keys: dict[str, str] = {}
        for task_id in self.order:
            task = self.by_id[task_id]
            spec = [
                task.id,
                task.description,
                task.target_agent,
                str(task.requires_approval),
                str(task.attempt),
            ]
            spec += [*task.feedback, "needs", *sorted(keys[dep] for dep in task.depends_on)]
            keys[task_id] = f"{task_id}-{hashlib.sha256(chr(0).join(spec).encode()).hexdigest()[:12]}"
        return keys

    @cached_property
    def digest(self) -> str:
        """Short hash of the whole plan; equal plans have equal digests."""
        spec = chr(0).join(self.keys[task.id] for task in self.sub_tasks)
        return hashlib.sha256(spec.encode()).hexdigest()[:12]

    @cached_property
    def ranks(self) -> dict[str, int]:
        """Length of the longest chain that starts at each sub-task; what is on the critical path ranks highest."""
        ranks = dict.fromkeys(self.by_id, 1)
        for task_id in reversed(self.order):
            for dep in self.by_id[task_id].depends_on:
                ranks[dep] = max(ranks[dep], ranks[task_id] + 1)
        return ranks

    def dependents(self, task_id: str) -> set[str]:
        """Ids of all sub-tasks that are built on this one, directly or not."""
        found = {task_id}
        for other in self.order:
            if found.intersection(self.by_id[other].depends_on):
                found.add(other)
        return found - {task_id}

    def ancestors(self, task_id: str) -> set[str]:
        """Ids of all sub-tasks that this one is built on, directly or not."""
        found = {task_id}
        for other in reversed(self.order):
            if other in found:
                found.update(self.by_id[other].depends_on)
        return found - {task_id}

    def critical_path(self, durations: Mapping[str, float] | None = None) -> tuple[tuple[str, ...], float]:
        """The longest chain of dependencies and its length.

        Args:
            durations: Seconds by sub-task id; without it every sub-task counts 1.
        """
        best: dict[str, tuple[float, tuple[str, ...]]] = {}
        for task_id in self.order:
            before = max((best[dep] for dep in self.by_id[task_id].depends_on), default=(0.0, ()))
            own = 1.0 if durations is None else durations.get(task_id, 0.0)
            best[task_id] = (before[0] + own, (*before[1], task_id))
        length, path = max(best.values(), default=(0.0, ()))
        return path, length

    def replace(self, *changed: SubTask) -> "Plan":
        """The plan with these sub-tasks in the place of those of the same id."""
        new = {task.id: task for task in changed}
        return Plan(sub_tasks=tuple(new.get(task.id, task) for task in self.sub_tasks))

    def plain(self) -> dict[str, Any]:
        """JSON-plain form for the state; leaves out what has its default."""
        return {"sub_tasks": [t.model_dump(mode="json", exclude_defaults=True) for t in self.sub_tasks]}

    def table(self, outcomes: Mapping[str, Outcome] | None = None) -> str:
        """The plan as a plain-text table."""
        rows = [("id", "agent", "needs", "approval", "status", "description")]
        for task in self.sub_tasks:
            outcome = (outcomes or {}).get(task.id)
            approval = "yes" if task.requires_approval else ""
            status = outcome.status if outcome else "pending"
            rows.append(
                (
                    task.id,
                    task.target_agent,
                    " ".join(task.depends_on) or "-",
                    approval,
                    status,
                    task.description,
                )
            )
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        return "\n".join(
            "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[5]]) for row in rows
        )

    def mermaid(self, outcomes: Mapping[str, Outcome] | None = None) -> str:
        """The plan as a Mermaid flowchart; finished sub-tasks are coloured by their status."""
        lines = ["graph TD"]
        for task in self.sub_tasks:
            label = shorten(task.description, 48)
            label = label.replace('"', "'").replace("\n", " ")
            lines.append(f'    {_node(task.id)}["{task.id} · {task.target_agent}<br/>{label}"]')
            lines += [f"    {_node(dep)} --> {_node(task.id)}" for dep in task.depends_on]
        for task_id, outcome in (outcomes or {}).items():
            if task_id in self.by_id and outcome.status in _COLOURS:
                lines.append(f"    style {_node(task_id)} fill:{_COLOURS[outcome.status]}")
        return "\n".join(lines)


_COLOURS: dict[str, str] = {
    "succeeded": "#b7e4c7",
    "failed": "#f4acb7",
    "skipped": "#dddddd",
    "waiting": "#ffe8a3",
}


def _node(task_id: str) -> str:
    """A Mermaid node name: its parser stumbles over words such as `end`, and over dashes."""
    return "n_" + task_id.replace("-", "__")


def _shape_problem(problem: Any, data: object) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    rows = data if isinstance(data, (list, tuple)) else data.get("sub_tasks") if isinstance(data, dict) else None
    loc = problem["loc"]
    if isinstance(rows, (list, tuple)) and len(loc) > 2 and isinstance(loc[1], int) and loc[1] < len(rows):
        row = rows[loc[1]]
        if isinstance(row, dict) and isinstance(row.get("id"), str):
            where += f" (sub-task '{row['id']}')"
    return f"{where or 'plan'}: {problem['msg']}"
