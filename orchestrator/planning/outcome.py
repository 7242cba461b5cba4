"""Outcome and Verdict: the end of a sub-task, and a reviewer's judgement of one."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Status = Literal["pending", "running", "waiting", "succeeded", "failed", "skipped"]


class Verdict(BaseModel):
    """A reviewing worker's judgement of a sub-task."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str
    verdict: Literal["accept", "changes_requested"]
    sub_task_id: str = ""


class Outcome(BaseModel):
    """The end of a sub-task. Small, since it lies in the state: the result itself is in the shared memory under `key`.

    Args:
        id: The sub-task.
        key: Key of the version of the sub-task that ended so.
        status: `succeeded`, `failed` or `skipped`.
        agent: Name of the worker.
        digest: The beginning of the result.
        error: Why it failed, or why its result is not whole.
        attempt: Number of the try.
        verdict: A reviewer's judgement of another sub-task.
        rejected: Feedback of a human who rejected the result.
        stop: True if a human stopped the run here.
        limit: The dimension of the run's budget that ended the attempt; empty otherwise.
        usage: Tokens and calls of the attempt.
        seconds: Duration of the agent's work.
    """

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
    usage: dict[str, int] = Field(default_factory=dict)  # not a Spend: the state is JSON-plain
    seconds: float = 0.0

    def plain(self) -> dict[str, Any]:
        """Return the JSON-plain form for the state, without fields that have their default."""
        return self.model_dump(mode="json", exclude_defaults=True)
