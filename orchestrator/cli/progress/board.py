"""Board: what is known of a run while it goes on, put together from its events."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from orchestrator.cli.progress.event_lines import call_text
from orchestrator.events import (
    Answered,
    Event,
    Planned,
    Planning,
    ReviewAsked,
    RoundStarted,
    RunStarted,
    Spent,
    SubTaskChanged,
    Summarizing,
    TextDelta,
    TextVoided,
    ToolCalled,
    ToolReturned,
)
from orchestrator.model_calls.call_events import ModelAsked, ModelReturned, PromptRead
from orchestrator.planning.plan import Plan
from orchestrator.reviews.review import Review

SUPERVISOR = ""
"""Stands for the supervisor where a sub-task is named."""
IDLE = "waits to ask its model"
"""Every request is told before it is sent, so an agent without one waits for the budget, or for a limit of requests."""
_WORDS_CHARS = 600


@dataclass
class Activity:
    """One thing that an agent does: a request to a model or a tool call.

    Args:
        text: The thing in words.
        since: Its beginning, in seconds of the clock.
        is_tool: True for a tool call.
    """

    text: str
    since: float
    is_tool: bool = False


class Board:
    """The state of a run.

    Args:
        clock: Returns seconds.
        idle: What an agent is said to do while nothing of it is known.
    """

    def __init__(self, clock: Callable[[], float], idle: str = IDLE) -> None:
        self.clock = clock
        self.idle = idle
        self.began = clock()
        self.plan: Plan | None = None
        self.spent: Spent | None = None
        self.phase = ""
        self.last: dict[str, SubTaskChanged] = {}
        self._since: dict[str, float] = {}
        self._models: dict[str, dict[str, Activity]] = {}
        self._tools: dict[str, dict[str, Activity]] = {}
        self._words: dict[str, tuple[str, str]] = {}
        self._reviews: dict[str, Review] = {}

    # -- what it is told ------------------------------------------------------------------------------------------

    def take(self, event: Event) -> None:
        """Take an event."""
        match event:
            case RunStarted():  # what an earlier process was doing has ended with it
                self.forget_activities()
                self.phase = ""
            case Planning():
                self.phase = "planning"
            case Planned(plan=plan):
                self.plan, self.phase = plan, ""
                # A sub-task that is sent back shows as pending until its new attempt starts.
                self.last = {name: event for name, event in self.last.items() if _is_current(event, plan)}
            case RoundStarted() | Answered():
                self.phase = ""
                self._reviews.pop(SUPERVISOR, None)
            case Summarizing():
                self.phase = "writing the answer"
                self._words.pop(SUPERVISOR, None)
            case SubTaskChanged():
                self._change(event)
            case ReviewAsked(review=review):
                self._reviews[review.sub_task_id or SUPERVISOR] = review
            case Spent():
                self.spent = event
            case _:
                self._take_activity(event)

    def _change(self, event: SubTaskChanged) -> None:
        self.last[event.id] = event
        self._since[event.id] = self.clock()
        for kept in (self._models, self._tools, self._words):
            kept.pop(event.id, None)
        if event.status != "waiting":
            self._reviews.pop(event.id, None)
            self._reviews.pop(SUPERVISOR, None)  # a question about the whole run, such as its budget, is answered

    def _take_activity(self, event: Event) -> None:
        match event:
            case ModelAsked(sub_task_id=name):
                self._models.setdefault(name, {})[event.call_id] = Activity(f"asks {event.model}", self.clock())
            case PromptRead(sub_task_id=name):
                if (request := self._models.get(name, {}).get(event.call_id)) is not None:
                    request.text = f"{event.model} {_reading(event)}"
            case ModelReturned(sub_task_id=name, error=error):
                self._models.get(name, {}).pop(event.call_id, None)
                if error:  # it is asked again after a pause, or another one is
                    self._models.setdefault(name, {})[""] = Activity(f"{event.model} failed: {error}", self.clock())
                else:
                    self._models.get(name, {}).pop("", None)
            case ToolCalled(sub_task_id=name):
                self._words.pop(name, None)
                self._tools.setdefault(name, {})[event.call_id] = Activity(call_text(event), self.clock(), True)
            case ToolReturned(sub_task_id=name):
                self._tools.get(name, {}).pop(event.call_id, None)
            case TextDelta(sub_task_id=name):
                stream, words = self._words.get(name, ("", ""))
                # Only the end is shown, and an answer may have megabytes.
                words = ((words if stream == event.stream else "") + event.text)[-_WORDS_CHARS:]
                self._words[name] = (event.stream, words)
            case TextVoided(sub_task_id=name):
                self._words.pop(name, None)

    def forget_activities(self) -> None:
        """Take it that no agent does anything any more."""
        for kept in (self._models, self._tools, self._words):
            kept.clear()

    # -- what it tells --------------------------------------------------------------------------------------------

    def status(self, name: str) -> str:
        """Return the status of a sub-task. Only one that a human holds up is `waiting`."""
        status = self._told(name)
        # In a pause, sub-tasks that wait for others say that they wait, too. Nothing tells when they go on waiting.
        is_paused = status == "waiting" and name not in self._reviews
        return "pending" if is_paused and (SUPERVISOR not in self._reviews or self.missing(name)) else status

    def _told(self, name: str) -> str:
        return self.last[name].status if name in self.last else "pending"

    def statuses(self) -> dict[str, str]:
        """Return the status of each sub-task of the plan, in the order of the plan."""
        return {task.id: self.status(task.id) for task in self.plan or ()}

    def seconds(self, name: str) -> float:
        """Return the seconds since the last change of a sub-task."""
        return self.clock() - self._since.get(name, self.clock())

    def missing(self, name: str) -> list[str]:
        """Return the dependencies of a sub-task that have not succeeded."""
        task = self.plan.by_id[name] if self.plan is not None else None
        return [dep for dep in task.depends_on if self._told(dep) != "succeeded"] if task is not None else []

    def question(self, name: str) -> str:
        """Return what a human is asked about a sub-task; empty if nothing is known of it."""
        return self._reviews[name].question if name in self._reviews else ""

    def words(self, name: str) -> str:
        """Return the end of what is being written."""
        return self._words.get(name, ("", ""))[1]

    @property
    def has_activities(self) -> bool:
        """True while a request or a tool is under way."""
        return any(self._models.values()) or any(self._tools.values())

    def activities(self, name: str) -> Iterator[Activity]:
        """Yield what goes on, the most telling first: tools that work, and then requests to models."""
        for kept in (self._tools, self._models):
            yield from reversed(kept.get(name, {}).values())


def _reading(event: PromptRead) -> str:
    if event.tokens >= event.total:
        return "answers"
    return f"reads prompt {event.tokens:,}/{event.total:,}"


def _is_current(event: SubTaskChanged, plan: Plan) -> bool:
    task = plan.by_id.get(event.id)
    return task is not None and event.attempt == task.attempt
