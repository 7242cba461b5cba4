"""JournalRecord: one thing that happened on a thread."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

Kind = Literal[
    "run_began",
    "run_resumed",
    "run_paused",
    "run_ended",
    "plan_proposed",
    "plan_taken",
    "round_began",
    "sub_task_waits",
    "sub_task_started",
    "sub_task_sent_back",
    "sub_task_ended",
    "result_drafted",
    "result_retracted",
    "result_restored",
    "model_asked",
    "model_answered",
    "model_failed",
    "model_lost",
    "model_replaced",
    "tool_called",
    "tool_returned",
    "tool_refused",
    "review_asked",
    "review_answered",
    "budget_set",
    "budget_short",
    "instruction_given",
    "answer_written",
]
"""The subject of a record; `docs/guides/journal.md` has the data of each kind."""


BODY = "$body"
"""Names the digest of a long text, in the place of the text."""


@dataclass(frozen=True)
class JournalRecord:
    """One record of a journal.

    Args:
        seq: Its number on the thread, from 1.
        at: The time at which it happened, in UTC. Records are numbered in the order in which they were saved.
        thread_id: The thread.
        kind: What happened.
        sub_task: The sub-task that it concerns; empty for the run.
        attempt: The number of the attempt at the sub-task; 0 for the run.
        by: The user who did it; empty for the engine.
        data: What is told of it; see `Kind`.
        key: The name of a fact that is told once, made from what it concerns; empty for other records.
        hash: Covers the record and all before it on the thread.
    """

    seq: int
    at: datetime
    thread_id: str
    kind: str
    sub_task: str = ""
    attempt: int = 0
    by: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    hash: str = ""

    def plain(self) -> dict[str, Any]:
        """Return the JSON-plain form."""
        return {**self.__dict__, "at": self.at.isoformat()}

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-plain form, as `Run.to_dict` does for a run."""
        return self.plain()

    @classmethod
    def of_row(cls, thread_id: str, row: Mapping[str, Any]) -> "JournalRecord":
        """Read a record as the store has it.

        Raises:
            KeyError, TypeError, ValueError: It is none.
        """
        return cls(
            seq=int(row["seq"]),
            at=datetime.fromtimestamp(float(row["at"]), UTC),
            thread_id=thread_id,
            kind=str(row["kind"]),
            sub_task=str(row.get("sub_task", "")),
            attempt=int(row.get("attempt", 0)),
            by=str(row.get("by", "")),
            data=dict(row.get("data", {})),
            key=str(row.get("key") or ""),
            hash=str(row.get("hash", "")),
        )
