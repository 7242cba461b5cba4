"""Limits: bounds of a run, from which it follows that every run ends."""

from pydantic import ConfigDict, Field

from orchestrator.validation import Checked


class Limits(Checked):
    """Bounds of one run. Every loop in the engine counts against one of these.

    Args:
        sub_tasks: Most sub-tasks that a plan may have.
        plan_repairs: Most times that an invalid structured answer goes back to the model with its errors.
        attempts: Most tries at one sub-task, the first included.
        depth: Most sub-tasks in a chain of dependencies; None for `sub_tasks`.
        rounds: Most rounds in one run; a human who says what to try next adds one.
        revisions: Most changes of the plan in one run (by the supervisor model or by a human's rejection).
        steps: Most model calls of a worker in one attempt; the last one is asked for an answer without tools.
        parallel_workers: Most sub-tasks that execute at once; sub-tasks that wait for dependencies do not count.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sub_tasks: int = Field(default=50, ge=1)
    depth: int | None = Field(default=None, ge=1)
    rounds: int = Field(default=10, ge=1)
    plan_repairs: int = Field(default=2, ge=0)
    attempts: int = Field(default=3, ge=1)
    revisions: int = Field(default=4, ge=0)
    steps: int = Field(default=12, ge=1)
    parallel_workers: int = Field(default=16, ge=1)
