"""Payload: one sub-task of a round, as the supervisor's edge sends it to a worker node."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.planning.sub_task import SubTask


@dataclass(frozen=True)
class Payload:
    """Everything that a worker node needs to know. The plain form is checkpointed with the send.

    Args:
        sub_task: The sub-task.
        key: Key of its result in the shared memory.
        needs: Keys of the results of its dependencies, by sub-task id.
        rank: Length of the longest chain of sub-tasks that starts here; high ranks get their slot first.
        round: Number of the round.
        memory_id: Names the thread's memory.
        done: Dependencies that were finished before this round, so that no node of the round signals them.
        auto_approve: True when no human is asked.
        previous: Key of the result of the attempt before; empty at the first.
        more_rounds: Rounds that a human has granted beyond the limit.
        task_number: Number of the task on the thread.
    """

    sub_task: SubTask
    key: str
    needs: Mapping[str, str]
    rank: int
    round: int
    memory_id: str
    done: tuple[str, ...] = ()
    auto_approve: bool = False
    previous: str = ""
    more_rounds: int = 0
    task_number: int = 1

    def plain(self) -> dict[str, Any]:
        """Return the JSON-plain form, without the fields that have their default."""
        # Every send is checkpointed, and a plan may have many: fields with their default take no room.
        form: dict[str, Any] = {
            "sub_task": self.sub_task.model_dump(mode="json", exclude_defaults=True),
            "key": self.key,
            "needs": dict(self.needs),
            "rank": self.rank,
            "round": self.round,
            "memory_id": self.memory_id,
        }
        if self.done:
            form["done"] = list(self.done)
        if self.auto_approve:
            form["auto_approve"] = True
        if self.previous:
            form["previous"] = self.previous
        if self.more_rounds:
            form["more_rounds"] = self.more_rounds
        if self.task_number > 1:
            form["task_number"] = self.task_number
        return form

    @classmethod
    def parse(cls, form: Mapping[str, Any]) -> "Payload":
        """Read the plain form."""
        return cls(
            sub_task=SubTask.model_validate(form["sub_task"]),
            key=form["key"],
            needs=form["needs"],
            rank=form["rank"],
            round=form["round"],
            memory_id=form["memory_id"],
            done=tuple(form.get("done", ())),
            auto_approve=bool(form.get("auto_approve")),
            previous=form.get("previous", ""),
            more_rounds=form.get("more_rounds", 0),
            task_number=form.get("task_number", 1),
        )
