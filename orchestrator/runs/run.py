"""Run: the state of a thread as a person or a script sees it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, TypeVar

from orchestrator.budget.spend import Spend
from orchestrator.budget.spending import Spending
from orchestrator.control_characters import visible
from orchestrator.errors import EXIT_DONE, EXIT_FAILED, EXIT_LIMITED, EXIT_WAITING
from orchestrator.memory.reference import Reference
from orchestrator.memory.turns import ConversationTurn
from orchestrator.persistence.workspace import Artifact
from orchestrator.planning.assessment import current
from orchestrator.planning.outcome import Outcome
from orchestrator.planning.plan import Plan
from orchestrator.reports.html import run_html
from orchestrator.reports.plan_svg import PlanPicture
from orchestrator.reports.results import SubTaskResult
from orchestrator.reviews.review import Review
from orchestrator.reviews.saved.instructions import Instruction
from orchestrator.runs.output_type import OutputType

T = TypeVar("T")
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


class Snapshot(Protocol):
    """The newest state of a thread, as LangGraph's `StateSnapshot` has it, or `SavedState`."""

    @property
    def values(self) -> Any:
        """The fields of the state."""

    @property
    def next(self) -> tuple[str, ...]:
        """The nodes that have not run yet."""

    @property
    def tasks(self) -> tuple[Any, ...]:
        """The executions of nodes in the newest super-step; none when the run has ended."""

    @property
    def interrupts(self) -> tuple[Any, ...]:
        """What nodes ask."""


@dataclass(frozen=True)
class Run:
    """The state of a thread after a run.

    Args:
        thread_id: The thread. Any process can resume it by this id.
        status: `done`; `failed` (`errors` says why, and resuming may help); `limited` (a limit ended the run);
            `stopped` (by a human); `waiting` (for the decisions in `reviews`); `interrupted` (the process ended in the
            middle, and the thread can be resumed); `running` (right now).
        task: The task.
        answer: The bare answer. If the status is not `done`, the answer may be partial and then names what is missing.
            Threads of version 0.1.0 have their references in it.
        plan: The plan, if there is one.
        outcomes: Outcomes by sub-task id.
        reviews: The open reviews.
        spending: What the whole run spent, with all attempts and repeated requests.
        errors: Failures and gaps, as sentences.
        artifacts: Files that the workers left in the thread's workspace.
        limited_by: `budget` if the budget ended the run. With a higher one the run can be resumed.
        references: The results that the answer rests on; none of a thread of version 0.1.0.
        turns: The earlier tasks of the thread, oldest first, with their answers.
        instructions: What humans have told the run by `steer`, oldest first.
        output: The answer as an instance of the `output_type` that `run` or `resume` was given, or else as plain data.
            None if no type was wanted, or if no answer of the type came (`errors` says why).
        models: The models that the run asks: under `agents` the model and the endpoint of each agent, under `others`
            its fallbacks and its economy model. None of a thread of version 0.1.0, or before the run has begun.
        results: The whole results by sub-task id, with sources, tool calls, verdicts and what taints them. Empty in
            what `stream` and the callbacks see before the end.
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
    references: tuple[Reference, ...] = ()
    turns: tuple[ConversationTurn, ...] = ()
    instructions: tuple[Instruction, ...] = ()
    output: Any = None
    models: dict[str, Any] = field(default_factory=dict)
    results: dict[str, SubTaskResult] = field(default_factory=dict)

    @classmethod
    def from_snapshot(
        cls,
        thread_id: str,
        snapshot: Snapshot,
        artifacts: tuple[Artifact, ...] = (),
        spending: Spending | None = None,
        turns: tuple[ConversationTurn, ...] = (),
        waiting: Iterable[Review] = (),
    ) -> "Run":
        """Read a run from the graph's saved state. Its open reviews are those that its unfinished nodes ask.

        Args:
            thread_id: The thread.
            snapshot: The thread's newest state.
            artifacts: The files in its workspace.
            spending: The amounts in its ledger.
            turns: The earlier tasks in its memory.
            waiting: Reviews that nodes wait for while the run goes on, or waited for when their process was killed.
        """
        values = current_values(snapshot)
        asked: dict[str, Review] = {review.id: review for review in waiting if snapshot.tasks}
        troubles: list[str] = []
        # The gates stop before their node (`interrupt_before`), so the state holds their review and no interrupt does.
        if values.get("review") and any(name in snapshot.next for name in ("approve_plan", "human_review")):
            review = Review.model_validate(values["review"])
            asked[review.id] = review
        for interrupt in snapshot.interrupts:
            payload = interrupt.value
            if isinstance(payload, dict) and payload.get("kind") == "trouble":
                troubles.append(f"{payload['sub_task_id']}: {payload['error']}")
            elif isinstance(payload, dict) and "question" in payload:
                review = Review.of_payload(payload)
                asked[review.id] = review
        status = values.get("status", "running")
        if snapshot.tasks:
            status = "running"  # the state may name the final status already, but the answer is not written yet
        elif status == "running" and values:
            status = "failed"
        run = cls._of(thread_id, {**values, "status": status}, tuple(asked.values()), tuple(dict.fromkeys(troubles)))
        return replace(run, artifacts=artifacts, spending=spending or Spending(), turns=turns)

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
            references=tuple(Reference.parse(form) for form in values.get("references") or ()),
            plan=plan,
            outcomes=outcomes,
            reviews=reviews,
            errors=(*troubles, *(values.get("notes") or ())),
            limited_by=values.get("limited_by", ""),
            output=values.get("output"),
        )

    @property
    def cost_usd(self) -> float | None:
        """Return the cost of the whole run in US dollars; None if the price of a model is unknown."""
        return self.spending.cost_usd

    @property
    def usage(self) -> dict[str, Any]:
        """Return the tokens and calls of the whole run, and `cost_usd` where it is known and not 0."""
        return self.spending.total.counters() | _dollars(self.cost_usd)

    @property
    def thread_usage(self) -> dict[str, Any]:
        """Return the same of all tasks of the thread, with this one."""
        counters = sum((Spend.of_usage(turn.usage) for turn in self.turns), self.spending.total).counters()
        costs = [self.cost_usd, *(turn.cost_usd for turn in self.turns)]
        known = [cost for cost in costs if cost is not None]
        return counters | _dollars(sum(known) if len(known) == len(costs) else None)

    def output_as(self, output_type: type[T]) -> T:
        """Return the output as an instance of a type, such as that of a run which another process started.

        Raises:
            ConfigError: There is no output, or it is not of the type.
        """
        typed: T = OutputType(output_type).of(self._plain_output())
        return typed

    @property
    def exit_code(self) -> int:
        """Return the exit code of a command that ends with this run."""
        return EXIT_CODES[self.status]

    @property
    def is_resumable(self) -> bool:
        """True if resuming would do anything."""
        # A failed run with an answer has ended. Without one, an endpoint failed as a rule, and a resume asks it again.
        return self.status in ("waiting", "interrupted") or (self.status == "failed" and not self.answer)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-plain form, whose keys are the names of the fields; `usage` stands for `spending`."""
        return {
            "thread_id": self.thread_id,
            "status": self.status,
            "task": self.task,
            "answer": self.answer,
            "output": self._plain_output(),
            "references": [reference.plain() for reference in self.references],
            "plan": [task.model_dump(mode="json") for task in self.plan.sub_tasks] if self.plan else [],
            "outcomes": {task_id: outcome.model_dump(mode="json") for task_id, outcome in self.outcomes.items()},
            "results": {task_id: result.plain() for task_id, result in self.results.items()},
            "reviews": [review.model_dump(mode="json") for review in self.reviews],
            "usage": self.spending.plain(),
            "errors": list(self.errors),
            "artifacts": [artifact.plain() for artifact in self.artifacts],
            "turns": [turn.plain() for turn in self.turns],
            "instructions": [instruction.plain() for instruction in self.instructions],
            "models": self.models,
        }

    def _plain_output(self) -> Any:
        # The answer is the output as JSON text, whatever instance the output has become.
        return None if self.output is None else json.loads(self.answer)

    def __str__(self) -> str:
        head = f"{self.thread_id}: {self.status}"
        reviews = "".join(f"\n? {review.id}: {review.question}" for review in self.reviews)
        return visible(head + reviews + (f"\n{self.answer}" if self.answer else ""))

    @property
    def picture(self) -> PlanPicture | None:
        """The plan in the colours of its outcomes, as an SVG picture of its own; None without a plan."""
        return None if self.plan is None else PlanPicture.of(self.plan, self.outcomes)

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        return run_html(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """Return the HTML with a plain-text form for front ends without HTML."""
        return {"text/plain": str(self), "text/html": self._repr_html_()}


def current_values(snapshot: Snapshot) -> dict[str, Any]:
    """Return the saved state without what is left in it of a former task, while the newest one has not begun."""
    values = snapshot.values
    has_begun = values.get("planned_task", values.get("task")) == values.get("task")
    # The former task may have been the same one. A run that has ended and has a next node is a new one.
    if snapshot.tasks and (not has_begun or (values.get("phase") == "end" and "supervisor" in snapshot.next)):
        return {name: value for name, value in values.items() if name in ("task", "turn", "memory_id", "planned_task")}
    return dict(values)


def _dollars(cost_usd: float | None) -> dict[str, float]:
    return {"cost_usd": round(cost_usd, 6)} if cost_usd else {}
