"""Run: how far a thread came, as a person or a script wants to see it."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from langgraph.types import StateSnapshot

from orchestrator.budget.spending import Spending
from orchestrator.errors import EXIT_DONE, EXIT_FAILED, EXIT_LIMITED, EXIT_WAITING
from orchestrator.messages import Usage
from orchestrator.persistence.workspace import Artifact
from orchestrator.planning.assessment import current
from orchestrator.planning.outcome import Outcome
from orchestrator.planning.plan import Plan
from orchestrator.reports.html import run_html
from orchestrator.reviews.review import Review

RunStatus = Literal["done", "failed", "limited", "stopped", "waiting", "interrupted", "running"]
EXIT_CODES: dict[str, int] = {
    "done": EXIT_DONE,
    "failed": EXIT_FAILED,
    "stopped": EXIT_FAILED,
    "interrupted": EXIT_FAILED,
    "waiting": EXIT_WAITING,
    "running": EXIT_WAITING,
    "limited": EXIT_LIMITED,
}


@dataclass(frozen=True)
class Run:
    """The state of a thread after a run.

    Args:
        thread_id: The thread; with it, any process can go on.
        status: `done`; `failed` (something did not succeed; `errors` says what, and resuming may help); `limited`
            (a limit ended it); `stopped` (by a human); `waiting` (for the decisions in `reviews`); `interrupted`
            (the process ended in the middle: resume it); `running` (somebody works on it right now).
        task: What was asked.
        answer: The answer; may be partial unless the status is `done`, and then says what is missing.
        plan: The plan, if there is one.
        outcomes: By sub-task id.
        reviews: The open ones.
        spending: What the whole run spent, all attempts and repeated requests counted.
        errors: What went wrong or is missing, as sentences.
        artifacts: The files that the workers left in the thread's workspace.
        limited_by: `budget` when that ended the run: resumed with a higher one, it goes on.
    """

    thread_id: str
    status: RunStatus
    task: str = ""
    answer: str = ""
    plan: Plan | None = None
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    reviews: tuple[Review, ...] = ()
    spending: Spending = field(default_factory=Spending)
    errors: tuple[str, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    limited_by: str = ""

    @classmethod
    def from_snapshot(
        cls,
        thread_id: str,
        snapshot: StateSnapshot,
        artifacts: tuple[Artifact, ...] = (),
        spending: Spending | None = None,
    ) -> "Run":
        """Reads it from the graph's saved state; the open reviews are those that its unfinished nodes ask.

        Args:
            thread_id: The thread.
            snapshot: Its newest state.
            artifacts: The files in its workspace.
            spending: What its ledger says.
        """
        values = snapshot.values
        asked: dict[str, Review] = {}
        troubles: list[str] = []
        if values.get("review") and any(name in snapshot.next for name in ("approve_plan", "human_review")):
            review = Review.model_validate(values["review"])
            asked[review.id] = review
        for interrupt in snapshot.interrupts:
            found = interrupt.value
            if isinstance(found, dict) and found.get("kind") == "trouble":
                troubles.append(f"{found['sub_task_id']}: {found['error']}")
            elif isinstance(found, dict) and "question" in found:
                review = Review.model_validate({name: part for name, part in found.items() if name != "problem"})
                asked[review.id] = review
        status = values.get("status", "running")
        if snapshot.tasks:
            status = "running"  # how it is to end may be decided, but the answer is not written yet
        elif status == "running" and values:
            status = "failed"
        run = cls._of(thread_id, {**values, "status": status}, tuple(asked.values()), tuple(dict.fromkeys(troubles)))
        return replace(run, artifacts=artifacts, spending=spending or Spending())

    @classmethod
    def _of(
        cls, thread_id: str, values: dict[str, Any], reviews: tuple[Review, ...], troubles: tuple[str, ...]
    ) -> "Run":
        plan = Plan.parse(values["plan"]) if values.get("plan") else None
        all_outcomes = {i: Outcome.model_validate(o) for i, o in (values.get("outcomes") or {}).items()}
        outcomes = current(plan, all_outcomes) if plan else {}
        decided = values["status"]
        status: RunStatus = decided if decided != "running" else "interrupted"
        if decided == "running" and (reviews or troubles):
            status = "waiting" if reviews else "failed"
        return cls(
            thread_id=thread_id,
            status=status,
            task=values.get("task", ""),
            answer=values.get("answer", ""),
            plan=plan,
            outcomes=outcomes,
            reviews=reviews,
            errors=(*troubles, *(values.get("notes") or ())),
            limited_by=values.get("limited_by", ""),
        )

    @property
    def usage(self) -> Usage:
        """Tokens and calls of the whole run."""
        total = self.spending.total
        return {
            "input_tokens": total.input_tokens,
            "output_tokens": total.output_tokens,
            "model_calls": total.model_calls,
            "tool_calls": total.tool_calls,
        }

    @property
    def exit_code(self) -> int:
        """What a command that made this run exits with."""
        return EXIT_CODES[self.status]

    @property
    def is_resumable(self) -> bool:
        """Whether resuming would do anything."""
        return self.status in ("waiting", "interrupted") or (self.status == "failed" and not self.answer)

    def to_dict(self) -> dict[str, Any]:
        """JSON-plain form: `thread_id, status, answer, plan, outcomes, reviews, usage, errors, artifacts, task`."""
        return {
            "thread_id": self.thread_id,
            "status": self.status,
            "task": self.task,
            "answer": self.answer,
            "plan": [task.model_dump(mode="json") for task in self.plan.sub_tasks] if self.plan else [],
            "outcomes": {task_id: outcome.model_dump(mode="json") for task_id, outcome in self.outcomes.items()},
            "reviews": [review.model_dump(mode="json") for review in self.reviews],
            "usage": self.spending.plain(),
            "errors": list(self.errors),
            "artifacts": [artifact.plain() for artifact in self.artifacts],
        }

    def __str__(self) -> str:
        head = f"{self.thread_id}: {self.status}"
        reviews = "".join(f"\n? {review.id}: {review.question}" for review in self.reviews)
        return head + reviews + (f"\n{self.answer}" if self.answer else "")

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        return run_html(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """The same with a plain-text form for front ends without HTML."""
        return {"text/plain": str(self), "text/html": self._repr_html_()}
