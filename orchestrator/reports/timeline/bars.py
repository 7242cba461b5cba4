"""Bar, Row, Gap and Timeline: a run in seconds since its beginning, ready to be drawn."""

from dataclasses import dataclass, field
from typing import Literal

WAITS = ("dependency", "human", "slot", "rate", "retry")
BarKind = Literal["model", "tool", "attempt", "dependency", "human", "slot", "rate", "retry"]
"""`attempt` is the whole work of a worker, behind its requests and tool calls; the last five are waits."""

BarState = Literal["", "failed", "refused", "running", "cut_off"]
"""`cut_off` is work whose process ended in the middle."""


@dataclass(slots=True)
class Bar:
    """A stretch of time of one sub-task.

    Args:
        kind: What went on.
        began: Its beginning, in seconds.
        ended: Its end, in seconds; of what goes on, the end of the timeline.
        label: A few words.
        title: All words.
        state: How it ended.
        is_critical: True if it belongs to the chain that decided the end.
        lane: The number of its lane, from 0: what goes on side by side is in lanes of its own.
        is_void: True if its result does not count any more.
    """

    kind: BarKind
    began: float
    ended: float
    label: str = ""
    title: str = ""
    state: BarState = ""
    is_critical: bool = False
    lane: int = 0
    is_void: bool = False

    @property
    def is_wait(self) -> bool:
        """True if nothing worked."""
        return self.kind in WAITS

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.ended - self.began


@dataclass(slots=True)
class Row:
    """The bars of one sub-task, or of the supervisor.

    Args:
        id: The sub-task; with a colon in front for the supervisor, whom no sub-task can be named like.
        agent: The worker.
        description: What is done.
        status: The status of the sub-task; empty for the supervisor.
        bars: Its bars, in the order of their beginnings.
        attempts: The beginnings of its attempts after the first one, in seconds, each with its number.
        lanes: The largest number of bars side by side.
        number: The number of its attempts.
    """

    id: str
    agent: str = ""
    description: str = ""
    status: str = ""
    bars: list[Bar] = field(default_factory=list)
    attempts: list[tuple[float, int]] = field(default_factory=list)
    lanes: int = 1
    number: int = 0


@dataclass(slots=True)
class Gap:
    """A time in which no process ran the task.

    Args:
        began: Its beginning, in seconds.
        ended: Its end, in seconds.
        why: The reason, in words.
    """

    began: float
    ended: float
    why: str


@dataclass(slots=True)
class Link:
    """One part of the chain that decided the end.

    Args:
        row: The id of the row.
        began: The beginning of its work, in seconds.
        ended: Its end, in seconds.
        human: The seconds of it in which a human was waited for.
    """

    row: str
    began: float
    ended: float
    human: float = 0.0


@dataclass(slots=True)
class Timeline:
    """A run as it is drawn.

    Args:
        end: The end of the picture, in seconds.
        rows: The rows: the supervisor's planning, the sub-tasks in the order of the plan, the supervisor's writing.
        gaps: The times in which no process ran the task, in order.
        path: The chain that decided the end, in order.
        is_open: True if the run goes on or waits, so that the picture ends now.
    """

    end: float
    rows: list[Row]
    gaps: list[Gap] = field(default_factory=list)
    path: list[Link] = field(default_factory=list)
    is_open: bool = False
