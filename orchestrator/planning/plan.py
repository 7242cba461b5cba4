"""Plan: sub-tasks with their dependencies, read from data, checked and changed."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, overload

from pydantic import ValidationError

from orchestrator.errors import PlanError, shape_problems
from orchestrator.planning.dependencies import Dependencies
from orchestrator.planning.outcome import Outcome
from orchestrator.planning.plan_rules import broken_rules
from orchestrator.planning.plan_text import plan_mermaid, plan_table
from orchestrator.planning.sub_task import SubTask


class Plan(Dependencies):
    """A DAG of sub-tasks, and a sequence of them. Construct it freely; `check` says what is wrong with it.

    `for sub_task in plan`, `len(plan)`, `plan["t1"]`, `plan[0]` and `"t1" in plan` work.
    """

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
            raise PlanError(shape_problems(error, "plan", note=lambda path: _row_note(path, data))) from None

    def check(self, agents: Collection[str], *, most: int | None = None, depth: int | None = None) -> "Plan":
        """Return the plan itself when it is sound.

        Args:
            agents: Names of the workers.
            most: Largest number of sub-tasks allowed; None for no bound.
            depth: Most sub-tasks in a chain of dependencies; None for no bound.

        Raises:
            PlanError: The plan breaks rules. There is one sentence for each.
        """
        if problems := self.problems(agents, most=most, depth=depth):
            raise PlanError(problems)
        return self

    def problems(self, agents: Collection[str], *, most: int | None = None, depth: int | None = None) -> list[str]:
        """Return every broken rule as a sentence that names the culprit; see `check`."""
        return broken_rules(self, agents, most=most, depth=depth)

    def in_order(self) -> "Plan":
        """Return the plan with every sub-task behind its dependencies, so that a loop can execute one by one."""
        earlier: set[str] = set()
        for task in self.sub_tasks:
            if not earlier.issuperset(task.depends_on):
                return Plan(sub_tasks=tuple(self.by_id[task_id] for task_id in self.order))
            earlier.add(task.id)
        return self

    def replace(self, *changed: SubTask) -> "Plan":
        """Return the plan with these sub-tasks in the place of those of the same id."""
        by_id = {task.id: task for task in changed}
        # pydantic 2: `model_copy` would copy the cached order and keys of this plan, too.
        return Plan(sub_tasks=tuple(by_id.get(task.id, task) for task in self.sub_tasks))

    def plain(self) -> dict[str, Any]:
        """Return the JSON-plain form for the state, without fields that have their default."""
        return {"sub_tasks": [t.model_dump(mode="json", exclude_defaults=True) for t in self.sub_tasks]}

    def table(self, outcomes: Mapping[str, Outcome] | None = None) -> str:
        """Return the plan as a plain-text table, with the status of sub-tasks that have an outcome."""
        return plan_table(self, outcomes or {})

    def mermaid(self, outcomes: Mapping[str, Outcome] | None = None) -> str:
        """Return the plan as a Mermaid flowchart. Sub-tasks with an outcome are coloured by its status."""
        return plan_mermaid(self, outcomes or {})


def _row_note(path: tuple[int | str, ...], data: object) -> str:
    """Return the id of the sub-task in which a problem lies, where the data names one."""
    rows = data if isinstance(data, (list, tuple)) else data.get("sub_tasks") if isinstance(data, dict) else None
    if not isinstance(rows, (list, tuple)) or len(path) <= 2 or not isinstance(path[1], int) or path[1] >= len(rows):
        return ""
    row = rows[path[1]]
    return f" (sub-task '{row['id']}')" if isinstance(row, dict) and isinstance(row.get("id"), str) else ""
