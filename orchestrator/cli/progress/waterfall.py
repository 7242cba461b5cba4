"""Waterfall: when each sub-task of a task waited, worked, and was asked about, one line each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from orchestrator.cli.progress.glyphs import Glyphs, short_number, short_time
from orchestrator.planning.status_colours import TERMINAL_STYLES
from orchestrator.reports.history.task import AttemptHistory, TaskHistory

_LONGEST_NAME = 20
_LEAST_BAR = 10
_TOKENS_FROM = 80  # narrower terminals have no column for tokens
_WORK, _HUMAN, _WAIT = "work", "human", "wait"
_OVER = (_WAIT, _WORK, _HUMAN)  # the later ones are drawn over those before
_GAP = "  "
_SUPERVISOR = "supervisor"


@dataclass(frozen=True)
class Span:
    """A time in which something went on.

    Args:
        kind: `work`, `human` or `wait`.
        began: The beginning.
        ended: The end.
        style: The style of its bar.
    """

    kind: str
    began: datetime
    ended: datetime
    style: str


@dataclass(frozen=True)
class Bar:
    """One line of the waterfall.

    Args:
        name: The sub-task, or the supervisor.
        status: The status of its last attempt.
        spans: Its times.
        seconds: The seconds of its work.
        tokens: The tokens that it spent.
    """

    name: str
    status: str
    spans: Sequence[Span]
    seconds: float
    tokens: int

    @property
    def began(self) -> datetime:
        """The beginning of its work, or of its wait if it never worked."""
        return min([span.began for span in self.spans if span.kind == _WORK] or [self.spans[0].began])


class Axis:
    """The columns of a time. Pauses, in which no process ran the task, have one column each, however long they were.

    Args:
        stretches: The times in which processes ran the task, in order.
        width: Columns for all of them.
    """

    def __init__(self, stretches: Sequence[tuple[datetime, datetime]], width: int) -> None:
        self._stretches = stretches
        gap = 1 if len(stretches) <= width // 3 else 0
        self.seconds = sum((end - begin).total_seconds() for begin, end in stretches)
        scale = (width - gap * (len(stretches) - 1)) / max(self.seconds, 1e-9)
        self.gaps: list[int] = []
        self._starts: list[float] = []
        start = 0.0
        for begin, end in stretches:
            if self._starts and gap:
                self.gaps.append(int(start))
                start += gap
            self._starts.append(start)
            start += (end - begin).total_seconds() * scale
        self._scale = scale
        self.width = width

    def column(self, at: datetime) -> int:
        """Return the column of a time, or their number for the end."""
        column = 0.0
        for (begin, end), start in zip(self._stretches, self._starts, strict=True):
            if at >= begin:
                column = start + (min(at, end) - begin).total_seconds() * self._scale
        return min(int(column), self.width)


def waterfall(
    task: TaskHistory, width: int, glyphs: Glyphs, *, now: datetime | None = None, most: int | None = None
) -> Iterator[Text]:
    """Yield the lines.

    Args:
        task: The task.
        width: Columns of the terminal.
        glyphs: What the terminal can draw.
        now: The time, if a process runs the task; None if it rests.
        most: The most sub-tasks, those that took longest; None for all.
    """
    end = now or task.ended or task.stretches[-1].end
    stretches = [
        (each.began, max(each.began, end if now and each.ended is None else each.end)) for each in task.stretches
    ]
    bars = [bar for bar in _bars(task, end) if bar.spans and (bar.seconds or bar.status not in ("skipped", "pending"))]
    shown = _chosen(bars, most)
    name = min(max((cell_len(glyphs.line(bar.name)) for bar in shown), default=0), _LONGEST_NAME)
    tokens = 8 if width >= _TOKENS_FROM else 0
    axis = Axis(stretches, max(_LEAST_BAR, width - name - 2 - len(_GAP) - 8 - tokens))
    for bar in shown:
        label = set_cell_size(glyphs.cut(bar.name, name), name)
        line = Text.assemble((glyphs.signs.get(bar.status, " "), _style(bar.status)), f" {label}{_GAP}")
        line.append(_drawn(bar, axis, glyphs)).append(f"{short_time(bar.seconds):>8}")
        if tokens:
            line.append(f"{short_number(bar.tokens):>8}", "dim")
        yield line
    yield from _foot(axis, name, width, glyphs)


def _chosen(bars: Sequence[Bar], most: int | None) -> list[Bar]:
    """Return the bars to draw in the order of their beginnings, that of the supervisor first."""
    # Failures are looked for first, and then long work.
    by_weight = sorted(bars, key=lambda bar: (bar.name != _SUPERVISOR, bar.status != "failed", -bar.seconds))
    kept = by_weight if most is None else by_weight[: most + 1]
    return sorted(kept, key=lambda bar: (bar.name != _SUPERVISOR, bar.began))


def _bars(task: TaskHistory, end: datetime) -> Iterator[Bar]:
    spans = [Span(_WORK, use.began, use.ended or end, "") for use in task.supervisor]
    asked = [each for each in task.reviews if not each.review.get("sub_task_id")]
    spans += [Span(_HUMAN, each.asked, each.answered or end, "yellow") for each in asked]
    seconds = sum((span.ended - span.began).total_seconds() for span in spans if span.kind == _WORK)
    yield Bar(_SUPERVISOR, "", spans, seconds, sum(use.spent.tokens for use in task.supervisor))
    for name in dict.fromkeys(attempt.sub_task for attempt in task.attempts):
        attempts = task.attempts_at(name)
        spans = [span for attempt in attempts for span in _spans(attempt, end)]
        seconds = sum(_seconds(attempt, end) for attempt in attempts)
        label = f"{name} ({attempts[-1].attempt})" if attempts[-1].attempt > 1 else name
        tokens = sum(attempt.spent.tokens for attempt in attempts)
        yield Bar(label, attempts[-1].status, spans, seconds, tokens)


def _spans(attempt: AttemptHistory, end: datetime) -> Iterator[Span]:
    if attempt.began is not None:
        yield Span(
            _WORK, attempt.began, attempt.ended or end, "dim" if attempt.is_retracted else _style(attempt.status)
        )
    for wait in attempt.waits:
        kind = _HUMAN if wait.reason == "human" else _WAIT
        yield Span(kind, wait.began, wait.ended or attempt.ended or end, "yellow" if kind == _HUMAN else "dim")


def _seconds(attempt: AttemptHistory, end: datetime) -> float:
    if attempt.ended is not None:
        return float(attempt.outcome.get("seconds") or 0.0)
    return (end - attempt.began).total_seconds() if attempt.began is not None else 0.0


def _drawn(bar: Bar, axis: Axis, glyphs: Glyphs) -> Text:
    cells: list[tuple[str, str]] = [(" ", "")] * axis.width
    for kind in _OVER:
        for span in bar.spans:
            if span.kind == kind:
                first, last = min(axis.column(span.began), axis.width - 1), axis.column(span.ended)
                # At the border of two things the later one is seen.
                for column in range(first, max(last, first + 1)):
                    cells[column] = (glyphs.bars[kind], span.style)
    for column in axis.gaps:
        cells[column] = (glyphs.gap, "dim")
    return Text.assemble(*cells)


def _foot(axis: Axis, name: int, width: int, glyphs: Glyphs) -> Iterator[Text]:
    end = short_time(axis.seconds)
    yield Text(f"{' ' * (name + 2)}{_GAP}0{end:>{max(1, axis.width - 1)}}", "dim")
    words = {_WORK: "works", _WAIT: "waits", _HUMAN: "waits for you"}
    parts = [f"{glyphs.bars[kind]} {text}" for kind, text in words.items()] + [f"{glyphs.gap} pause"] * bool(axis.gaps)
    yield Text(glyphs.cut(", ".join(parts), width), "dim")


def _style(status: str) -> str:
    style: str = TERMINAL_STYLES.get(status, "")  # type: ignore[call-overload] # "interrupted" has no colour
    return style
