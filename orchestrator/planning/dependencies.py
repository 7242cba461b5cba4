"""Dependencies: the order, depths and keys that follow from the dependencies of sub-tasks.

A sub-task's *key* is a hash over its specification and the keys of its dependencies. A result is filed under the key,
so a revised sub-task never reuses the result of the one that it replaces. Every sub-task that was built on the old
result has a new key too, and runs again. Nothing else in the engine has to track which results are stale.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import ClassVar

from pydantic import ConfigDict

from orchestrator.errors import OrchestratorError, PlanError
from orchestrator.planning.sub_task import SubTask
from orchestrator.validation import Checked


class Dependencies(Checked):
    """A DAG of sub-tasks. Only `by_id` and `shape` can be read of one that has a cycle or an unknown dependency."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    _error: ClassVar[type[OrchestratorError]] = PlanError

    sub_tasks: tuple[SubTask, ...]

    # A plan never changes, so all that follows from it is computed once.

    @cached_property
    def by_id(self) -> dict[str, SubTask]:
        """The sub-tasks by id."""
        return {task.id: task for task in self.sub_tasks}

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Ids in topological order: dependencies always before dependents."""
        return tuple(TopologicalSorter({t.id: t.depends_on for t in self.sub_tasks}).static_order())

    @cached_property
    def keys(self) -> dict[str, str]:
        """Each sub-task's key: its id and a hash of its specification and of its dependencies' keys."""
        keys: dict[str, str] = {}
        for task_id in self.order:
            keys[task_id] = key_of(self.by_id[task_id], keys)
        return keys

    @cached_property
    def digest(self) -> str:
        """Short hash of all sub-tasks; equal plans have equal digests."""
        spec = chr(0).join(self.keys[task.id] for task in self.sub_tasks)
        return hashlib.sha256(spec.encode()).hexdigest()[:12]

    @property
    def shape(self) -> str:
        """Short hash of all sub-tasks without attempts and feedback: a retry has the same shape."""
        # Sorted: the order in which a plan lists its sub-tasks makes no difference.
        parts = [
            [t.id, t.description, t.target_agent, sorted(t.depends_on), t.requires_approval]
            + ([json.dumps(t.output_schema, sort_keys=True)] if t.output_schema is not None else [])
            for t in self.sub_tasks
        ]
        return hashlib.sha256(json.dumps(sorted(parts)).encode()).hexdigest()[:16]

    @cached_property
    def depths(self) -> dict[str, int]:
        """Number of dependencies in the longest chain that ends at each sub-task; 0 without dependencies."""
        depths: dict[str, int] = {}
        for task_id in self.order:
            depths[task_id] = max((depths[dep] + 1 for dep in self.by_id[task_id].depends_on), default=0)
        return depths

    @property
    def depth(self) -> int:
        """Number of sub-tasks in the longest chain of dependencies."""
        return 1 + max(self.depths.values(), default=-1)

    @cached_property
    def ranks(self) -> dict[str, int]:
        """Number of sub-tasks in the longest chain that starts at each one; the critical path ranks highest."""
        ranks = dict.fromkeys(self.by_id, 1)
        for task_id in reversed(self.order):
            for dep in self.by_id[task_id].depends_on:
                ranks[dep] = max(ranks[dep], ranks[task_id] + 1)
        return ranks

    def dependents(self, task_id: str) -> set[str]:
        """Return the ids of all sub-tasks that are built on this one, directly or not."""
        ids = {task_id}
        for other in self.order:
            if ids.intersection(self.by_id[other].depends_on):
                ids.add(other)
        return ids - {task_id}

    def ancestors(self, task_id: str) -> set[str]:
        """Return the ids of all sub-tasks that this one is built on, directly or not."""
        ids = {task_id}
        for other in reversed(self.order):
            if other in ids:
                ids.update(self.by_id[other].depends_on)
        return ids - {task_id}

    def critical_path(self, durations: Mapping[str, float] | None = None) -> tuple[tuple[str, ...], float]:
        """Return the longest chain of dependencies and its length.

        Args:
            durations: Seconds by sub-task id; without it every sub-task counts 1.
        """
        best: dict[str, tuple[float, tuple[str, ...]]] = {}
        for task_id in self.order:
            path_before = max((best[dep] for dep in self.by_id[task_id].depends_on), default=(0.0, ()))
            own = 1.0 if durations is None else durations.get(task_id, 0.0)
            best[task_id] = (path_before[0] + own, (*path_before[1], task_id))
        length, path = max(best.values(), default=(0.0, ()))
        return path, length


def key_of(task: SubTask, keys: Mapping[str, str]) -> str:
    """Return the key of a sub-task: its id and a hash of its specification and of its dependencies' keys.

    Args:
        task: The sub-task.
        keys: The keys of its dependencies, by id.
    """
    spec = [
        task.id,
        task.description,
        task.target_agent,
        str(task.requires_approval),
        str(task.attempt),
    ]
    # Another order of the dependencies is the same work; other feedback is other work.
    # `needs` keeps the last feedback apart from the first dependency's key.
    spec += [*task.feedback, "needs", *sorted(keys[dep] for dep in task.depends_on)]
    if task.output_schema is not None:  # without one the key is that of versions that knew none
        spec += ["output", json.dumps(task.output_schema, sort_keys=True)]
    return f"{task.id}-{hashlib.sha256(chr(0).join(spec).encode()).hexdigest()[:12]}"


def cycle_in(sub_tasks: Sequence[SubTask]) -> list[str]:
    """Return the ids along a cycle of dependencies, or nothing. Unknown ids and self-references do not count."""
    # Both are reported as problems of their own.
    ids = {task.id for task in sub_tasks}
    edges = {t.id: [dep for dep in t.depends_on if dep in ids and dep != t.id] for t in sub_tasks}
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []
