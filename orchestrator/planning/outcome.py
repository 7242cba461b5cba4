"""Outcome and Verdict: what sub-tasks and reviews ended with."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Status = Literal["pending", "running", "waiting", "succeeded", "failed", "skipped"]


class Verdict(BaseModel):
    """What a reviewing worker says of the work that it saw."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str
    verdict: Literal["accept", "changes_requested"]
    sub_task_id: str = ""


class Outcome(BaseModel):
    """What a sub-task ended with. Small: the result itself lies in the shared memory under `key`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    key: str
    status: Status
    agent: str = ""
    digest: str = ""
    error: str = ""
    attempt: int = 1
    verdict: Verdict | None = None
    rejected: str = ""
    stop: bool = False
    limit: str = ""
    usage: dict[str, int] = Field(default_factory=dict)
    seconds: float = 0.0

    def plain(self) -> dict[str, Any]:
        """JSON-plain form for the state; leaves out what has its default."""
        return self.model_dump(mode="json", exclude_defaults=True)
