"""Board: what is known of a run while it goes on, put together from its events."""

import json
from collections.abc import Callable
from typing import Any

from orchestrator.events import (
    Answered,
    BudgetShort,
    Cancelled,
    Event,
    Planned,
    Planning,
    ReviewAsked,
    RoundStarted,
    RunStarted,
    Spent,
    Steered,
    SubTaskChanged,
    Summarizing,
    TextDelta,
    TextVoided,
    ToolCalled,
    ToolRefused,
    ToolReturned,
)
from orchestrator.model_calls.call_events import FellBack, ModelAsked, ModelReturned
from orchestrator.planning.plan import Plan
from orchestrator.reviews.review import Review
from orchestrator.runs.run import Run
from orchestrator.text import shorten

SUPERVISOR = ""
"""Stands for the supervisor where a sub-task is named."""
_WORDS_CHARS = 600
_ARGUMENT_CHARS = 80
_MOST_NOTICES = 3


class Board:
    """The state of a run.

    Args:
        clock: Returns seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self._ended: float | None = None
        self.thread_id = ""
        self.plan: Plan | None = None
        self.spent: Spent | None = None
        self.phase = ""
        self.notices: list[str] = []
        self.reviews: dict[str, Review] = {}
        self._last: dict[str, SubTaskChanged] = {}
        self._since: dict[str, float] = {}
        self._tools: dict[str, dict[str, str]] = {}
        self._models: dict[str, dict[str, tuple[str, float]]] = {}
        self._words: dict[str, tuple[str, str]] = {}

    def take(self, event: Event) -> None:
        """Take an event."""
        self.thread_id = event.thread_id or self.thread_id
        match event:
            case RunStarted():  # the run before has ended with all that it did
                self._ended = None
                self.reviews.clear()
                self._rest()
            case Planning():
                self.phase = "planning"
            case Planned(plan=plan):
                self.plan, self.phase = plan, ""
                # A sub-task that is sent back shows as pending until its new attempt starts.
                self._last = {name: event for name, event in self._last.items() if _is_current(event, plan)}
            case Summarizing():
                self.phase = "writing the answer"
                self._words.pop(SUPERVISOR, None)
            case RoundStarted() | Answered():
                self.phase = ""
            case SubTaskChanged():
                self._change(event)
            case ReviewAsked(review=review):
                self.phase = ""
                self.reviews[review.id] = review
            case Spent():
                self.spent = event
            case TextDelta() | TextVoided() | ToolCalled() | ToolReturned() | ModelAsked() | ModelReturned():
                self._take_activity(event)
            case Steered(text=text):
                self._notice(f"instruction: {text}")
            case ToolRefused(sub_task_id=name, tool=tool, why=why):
                self._notice(f"{name} may not call {tool}: {why}")
            case FellBack(model=model, instead=instead):
                self._notice(f"{model} failed, asking {instead}")
            case BudgetShort(stage=stage, budget=budget):
                self._notice(f"the budget: {stage} ({budget})")
            case Cancelled(by=by):
                self._notice(f"cancelled by {by}" if by else "cancelled")

    def begin_with(self, run: Run) -> None:
        """Take the plan and the outcomes of a run that is resumed."""
        self.thread_id, self.plan = run.thread_id, run.plan
        # A resumed run tells of no plan and of nothing that is finished.
        for name, outcome in run.outcomes.items():
            self._last[name] = SubTaskChanged(
                name, outcome.status, outcome.attempt, outcome.usage, outcome.seconds, outcome.error
            )

    def end(self, error: str = "") -> None:
        """Take the end of the run, or of a part of it. Nothing is at work any more.

        Args:
            error: Why it could not go on.
        """
        self._ended = self._clock()
        if error:
            self._notice(error)
        self._rest()

    def _rest(self) -> None:
        self.phase = ""
        for kept in (self._tools, self._models, self._words):
            kept.clear()
        # The sub-tasks that a cancelled run was at have no end of their own.
        self._last = {name: event for name, event in self._last.items() if event.status != "running"}

    def _notice(self, text: str) -> None:
        self.notices = [*self.notices, text][-_MOST_NOTICES:]

    def _change(self, event: SubTaskChanged) -> None:
        self._last[event.id] = event
        self._since[event.id] = self._clock()
        for kept in (self._tools, self._models, self._words):
            kept.pop(event.id, None)
        # A sub-task that goes on has been answered, here or in another process.
        if event.status != "waiting":
            self.reviews = {name: each for name, each in self.reviews.items() if each.sub_task_id != event.id}

    def _take_activity(self, event: Any) -> None:
        name = event.sub_task_id
        match event:
            case ModelAsked(model=model):
                self._models.setdefault(name, {})[event.call_id] = (f"asks {model}", self._clock())
            # A request that failed is sent again, or to another model, and is told of anew.
            case ModelReturned():
                self._models.get(name, {}).pop(event.call_id, None)
            case TextDelta(stream=stream, text=text):
                before = self._words.get(name, ("", ""))
                # Only the end is shown, and an answer may have megabytes.
                self._words[name] = (stream, ((before[1] if before[0] == stream else "") + text)[-_WORDS_CHARS:])
            case TextVoided():
                self._words.pop(name, None)
            case ToolCalled():
                self._words.pop(name, None)
                self._tools.setdefault(name, {})[event.call_id] = _call_text(event)
            case ToolReturned():
                self._tools.get(name, {}).pop(event.call_id, None)

    @property
    def is_at_work(self) -> bool:
        """True while an agent works."""
        # While the supervisor revises a plan, its request is all that is told.
        is_busy = self.phase or any(self._models.values()) or "running" in self.statuses().values()
        return self._ended is None and bool(is_busy)

    @property
    def elapsed(self) -> float:
        """The seconds since the beginning."""
        return (self._clock() if self._ended is None else self._ended) - self._began

    def status(self, name: str) -> str:
        """Return the status of a sub-task."""
        return self._last[name].status if name in self._last else "pending"

    def statuses(self) -> dict[str, str]:
        """Return the status of each sub-task of the plan, in the order of the plan."""
        return {task.id: self.status(task.id) for task in self.plan or ()}

    def seconds(self, name: str) -> float:
        """Return the seconds since the last change of a sub-task."""
        return self._clock() - self._since.get(name, self._clock())

    def took(self, name: str) -> float:
        """Return the duration of the attempt at a sub-task that has ended."""
        return self._last[name].seconds if name in self._last else 0.0

    def error(self, name: str) -> str:
        """Return why a sub-task failed, or with which feedback it was sent back."""
        return self._last[name].error if name in self._last else ""

    def missing(self, name: str) -> list[str]:
        """Return the dependencies of a sub-task that have not succeeded."""
        depends_on = self.plan.by_id[name].depends_on if self.plan is not None else ()
        return [dep for dep in depends_on if self.status(dep) != "succeeded"]

    def question(self, name: str) -> str:
        """Return what a human is asked about a sub-task; empty if nothing is known of it."""
        return next((review.question for review in self.reviews.values() if review.sub_task_id == name), "")

    def words(self, name: str) -> str:
        """Return the end of what is being written."""
        return self._words.get(name, ("", ""))[1]

    def activity(self, name: str) -> str:
        """Return what an agent does now: a tool that works, or else a request to a model; empty for neither."""
        if tool := next(reversed(self._tools.get(name, {}).values()), ""):
            return tool
        model, began = next(reversed(self._models.get(name, {}).values()), ("", 0.0))
        return f"{model}, {self._clock() - began:.0f} s" if model else ""


def _is_current(event: SubTaskChanged, plan: Plan) -> bool:
    task = plan.by_id.get(event.id)
    return task is not None and event.attempt == task.attempt


def _call_text(event: ToolCalled) -> str:
    args = ", ".join(f"{name}={json.dumps(value, default=str)}" for name, value in event.args.items())
    return f"{event.tool}({shorten(args, _ARGUMENT_CHARS)})"
