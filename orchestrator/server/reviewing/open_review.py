"""OpenReview: a review that waits for a human, with what it holds up."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from orchestrator.reviews.review import Review
from orchestrator.runs.run import Run
from orchestrator.server.reviewing.plan_change import Cost, proposed_cost


@dataclass(frozen=True)
class OpenReview:
    """A review that waits for a human.

    Args:
        review: The review.
        task: The task of its thread.
        asked: The time at which it was asked; None where nothing tells it.
        held_up: The number of unfinished sub-tasks that cannot be finished before it is answered.
        sub_tasks: The number of all sub-tasks.
        at_work: The sub-tasks that go on meanwhile.
        is_running: A process runs the thread, and goes on with an answer at once.
        agent: The worker of the sub-task in question; empty for a question about the run.
        can_go_on: No process runs the thread, and this server could, since the thread names its team.
    """

    review: Review
    task: str
    asked: datetime | None
    held_up: int
    sub_tasks: int
    at_work: tuple[str, ...]
    is_running: bool
    agent: str = ""
    can_go_on: bool = False

    @cached_property
    def cost(self) -> Cost | None:
        """The likely cost of the plan in question; None for another question."""
        return proposed_cost(self.review.subject) if self.review.kind == "plan" else None

    @property
    def rank(self) -> tuple[int, float]:
        """The place in the inbox: what holds up most comes first, then what was asked first."""
        return -self.held_up, self.asked.timestamp() if self.asked else 0.0

    @property
    def words(self) -> str:
        """What it holds up, for how long, and what goes on beside it."""
        parts = []
        if self.sub_tasks:
            noun = "sub-task" if self.sub_tasks == 1 else "sub-tasks"
            parts.append(f"holds up {self.held_up} of {self.sub_tasks} {noun}")
        if self.asked is not None:
            parts.append(age_text((datetime.now(UTC) - self.asked).total_seconds()))
        names = ", ".join(self.at_work[:3]) + (f" and {len(self.at_work) - 3} more" if len(self.at_work) > 3 else "")
        # Without a process nothing can run, and what has been answered waits for a resume.
        parts.append(f"{names} {'goes' if len(self.at_work) == 1 else 'go'} on" if names else "nothing else is running")
        return " · ".join(parts)


def age_text(seconds: float) -> str:
    """Return an age as a clock shows it; in days where a clock has no place for it."""
    whole = max(0, int(seconds))
    if whole >= 86_400:
        return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def held_up(run: Run, review: Review) -> tuple[int, int]:
    """Return the number of unfinished sub-tasks that a review holds up, and the number of all.

    Args:
        run: The state of the thread.
        review: One of its open reviews.
    """
    plan = run.plan
    if plan is None:
        return 0, 0
    finished = {name for name, outcome in run.outcomes.items() if outcome.status == "succeeded"}
    unfinished = plan.by_id.keys() - finished
    if review.sub_task_id in plan.by_id:  # a question about the run holds up all of it
        waiting = {review.sub_task_id, *plan.dependents(review.sub_task_id)}
        return len(waiting & unfinished) or 1, len(plan.sub_tasks)
    return len(unfinished), len(plan.sub_tasks)
