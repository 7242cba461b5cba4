"""Events: progress of a run, one small class for each kind.

Nodes put the plain form of an event on LangGraph's custom stream; `TaskOrchestrator` reads it back. LangGraph Studio
and users of `stream_mode="custom"` read the plain form, so the kinds and keys in it are public as much as the classes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

from orchestrator.budget.spend import NANO
from orchestrator.errors import PlanError
from orchestrator.planning.outcome import Status
from orchestrator.planning.plan import Plan
from orchestrator.reviews.review import Review

_KINDS: dict[str, type["Event"]] = {}  # filled by the subclasses, each under its kind


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Event:
    """Base of all events.

    The plain form holds each field under its own name, or under `key` of the field's metadata. Two events are equal if
    they tell the same, whatever their time and thread.

    Args:
        at: The time of the event, in UTC; in the plain form a text such as `2026-11-28T09:30:00.123456+00:00`.
        thread_id: The thread; empty where a graph runs without a checkpointer.
    """

    kind: ClassVar[str]
    at: datetime = field(default_factory=_now, kw_only=True, compare=False)
    thread_id: str = field(default="", kw_only=True, compare=False)

    def __init_subclass__(cls, *, kind: str) -> None:
        super().__init_subclass__()
        cls.kind = kind
        _KINDS[kind] = cls

    def plain(self) -> dict[str, Any]:
        """Return the JSON-plain form, with the kind under `event`."""
        form = {"event": self.kind} | {key: getattr(self, name) for name, key in self._keys().items()}
        return form | {"at": self.at.isoformat()}

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-plain form, as `Run.to_dict` does for a run."""
        return self.plain()

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """Read the plain form. Keys that a newer version has added are ignored.

        An event of an older version has no time. It gets the time at which it is read.

        Raises:
            KeyError, TypeError, ValueError, PlanError: The data is not of this event's shape.
        """
        values = {name: data[key] for name, key in cls._keys().items() if key in data}
        if "at" in values:
            at = datetime.fromisoformat(values["at"])
            values["at"] = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        return cls(**values)

    @classmethod
    def _keys(cls) -> dict[str, str]:
        """Return the key in the plain form for each field."""
        return {each.name: each.metadata.get("key", each.name) for each in fields(cls)}


@dataclass(frozen=True)
class RunStarted(Event, kind="run_started"):
    """`TaskOrchestrator` starts or resumes a run. Its thread is durable: from here on it can be resumed.

    Args:
        resumed: The run goes on with what an earlier one has done.
    """

    resumed: bool = False


@dataclass(frozen=True)
class Planning(Event, kind="planning"):
    """The supervisor is decomposing the task."""


@dataclass(frozen=True)
class Planned(Event, kind="plan"):
    """The supervisor proposes or starts a plan, the first or a revised one.

    Args:
        plan: The plan.
        retries: Feedback for the sub-tasks that are sent back, by id.
    """

    plan: Plan
    retries: dict[str, str] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Return the JSON-plain form, with the plan as in the graph's state."""
        return {**super().plain(), "plan": self.plan.plain()}

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """Read the plain form."""
        return super().parse({**data, "plan": Plan.parse(data["plan"])})


@dataclass(frozen=True)
class RoundStarted(Event, kind="round"):
    """All unfinished sub-tasks were sent to their workers."""

    number: int = field(metadata={"key": "round"})


@dataclass(frozen=True)
class SubTaskChanged(Event, kind="sub_task"):
    """A sub-task has another status.

    Args:
        id: The sub-task.
        status: Its new status.
        attempt: The number of the attempt, from 1.
        usage: Tokens and calls of the attempt, once it has ended.
        seconds: Duration of the attempt, once it has ended.
        error: Reason of a failure; for `pending`, the feedback with which the sub-task is sent back.
    """

    id: str
    status: Status
    attempt: int = 1
    usage: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class ToolCalled(Event, kind="tool"):
    """A worker calls a tool.

    Args:
        sub_task_id: The sub-task.
        tool: The tool's name.
        args: The arguments.
        call_id: Names the call within its sub-task. `ToolReturned` has the same; after a resume it stays the same.
    """

    sub_task_id: str
    tool: str
    args: dict[str, Any]
    call_id: str = ""


@dataclass(frozen=True)
class ToolReturned(Event, kind="tool_returned"):
    """A tool has answered. A call that a human must be asked about first has not returned.

    Args:
        sub_task_id: The sub-task.
        tool: The tool's name.
        call_id: As in `ToolCalled`.
        answer: The beginning of the answer, without known secrets; empty for an error.
        error: The error that the worker is told instead of an answer; empty for an answer.
        untrusted: The answer comes from outside. It is information, and not what the user or the team says.
        chars: Characters of the whole answer or error. A larger number than `answer` has shows that it is shortened.
        seconds: Duration of the call.
    """

    sub_task_id: str
    tool: str
    call_id: str
    answer: str = ""
    error: str = ""
    untrusted: bool = False
    chars: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class ToolRefused(Event, kind="tool_refused"):
    """A worker may not call a tool: the policy forbids it, or demands a human's approval while none is there."""

    sub_task_id: str
    tool: str
    why: str


@dataclass(frozen=True)
class ReviewAsked(Event, kind="review"):
    """A review is open. Sub-tasks that do not depend on its decision go on."""

    review: Review

    def plain(self) -> dict[str, Any]:
        """Return the JSON-plain form, with the whole review."""
        return {**super().plain(), "review": self.review.model_dump(mode="json")}

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """Read the plain form."""
        return super().parse({**data, "review": Review.model_validate(data["review"])})


@dataclass(frozen=True)
class Spent(Event, kind="spend"):
    """A model call was settled.

    Args:
        tokens: Tokens of the whole run so far.
        cost_usd: Cost of the whole run so far; 0 where the price of a model is unknown.
        model_calls: Model calls of the whole run so far.
        limits: The limits of the run by their names in `Budget`; empty for none.
    """

    tokens: int
    cost_usd: float = field(metadata={"key": "nano_usd"})
    model_calls: int = field(metadata={"key": "calls"})
    limits: dict[str, float] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Return the JSON-plain form, with the cost as a whole number, as in the ledger."""
        # As a float, a sum of many small costs would drift. `round` undoes the division of `parse` exactly.
        return {**super().plain(), "nano_usd": round(self.cost_usd * NANO)}

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """Read the plain form."""
        return super().parse({**data, "nano_usd": data["nano_usd"] / NANO})


@dataclass(frozen=True)
class BudgetShort(Event, kind="budget"):
    """The run has reached another stage of its budget.

    Args:
        stage: `warn`; `short` (from here on the run saves); `spent`.
        budget: The limits, in words.
    """

    stage: str
    budget: str


@dataclass(frozen=True)
class TextDelta(Event, kind="text"):
    """More words of an answer: of a worker's to its sub-task, or of the supervisor's to the task.

    The texts of one stream, joined, are the answer so far. A new stream of the same sub-task takes the place of the one
    before. Thoughts, tool calls, plans and verdicts are not told.

    Args:
        sub_task_id: The sub-task; empty for the answer to the task.
        agent: The agent that answers.
        text: The words that have come.
        stream: The stream that the words belong to.
        attempt: The number of the attempt at the sub-task.
    """

    sub_task_id: str
    agent: str
    text: str
    stream: str
    attempt: int = 1


@dataclass(frozen=True)
class TextVoided(Event, kind="text_voided"):
    """The words of a stream do not count, and no more of them come: take them away.

    The request failed or was given up, or the model goes on to call tools. What counts instead has another stream.

    Args:
        sub_task_id: As in `TextDelta`.
        agent: As in `TextDelta`.
        stream: The stream.
        why: The reason.
    """

    sub_task_id: str
    agent: str
    stream: str
    why: str = ""


@dataclass(frozen=True)
class Cancelled(Event, kind="cancelled"):
    """The run was cancelled. The thread can be resumed.

    Args:
        by: The user who cancelled the run; empty where the system has none.
    """

    by: str = ""


@dataclass(frozen=True)
class Steered(Event, kind="steered"):
    """A human has given the run an instruction. Every later step sees it.

    Args:
        text: The instruction.
        by: The user who gave it; empty where the system has none.
        number: Its place among the instructions of the thread, from 1.
    """

    text: str
    by: str = ""
    number: int = 0


@dataclass(frozen=True)
class Summarizing(Event, kind="summarize"):
    """The supervisor is writing the answer."""


@dataclass(frozen=True)
class Answered(Event, kind="answer"):
    """The supervisor has written the answer.

    Args:
        answer: The whole text, as the words of its last stream are if a model wrote it in words.
        status: The status that the run ends with.
    """

    answer: str
    status: str


Emit = Callable[[Event], None]


class Emitter:
    """Puts the events of a thread on a stream.

    Args:
        write: Takes the plain form of an event; None if nobody listens.
        thread_id: The thread.
    """

    def __init__(self, write: Callable[[dict[str, Any]], None] | None = None, thread_id: str = "") -> None:
        self._write = write
        self._thread_id = thread_id

    @property
    def is_heard(self) -> bool:
        """True if somebody listens."""
        return self._write is not None

    def __call__(self, event: Event) -> None:
        """Put an event on the stream."""
        if self._write is not None:
            self._write({**event.plain(), "thread_id": self._thread_id})


SILENT = Emitter()
"""Takes events where nobody listens."""


def is_heard(emit: Emit) -> bool:
    """True if an event that is emitted reaches somebody. Events that are costly to make are for listeners only."""
    return not isinstance(emit, Emitter) or emit.is_heard


def parse_event(data: object) -> Event | None:
    """Return the event in a chunk of LangGraph's custom stream.

    Tools and nodes of a user's own may write to the same stream, and so may a newer version. A chunk that is no event
    of this version gives None.
    """
    # `str`, since the kind in a foreign chunk may be a list, which cannot be looked up.
    cls = _KINDS.get(str(data.get("event"))) if isinstance(data, Mapping) else None
    if cls is None or not isinstance(data, Mapping):
        return None
    try:
        return cls.parse(data)
    except (KeyError, TypeError, ValueError, PlanError):
        return None
