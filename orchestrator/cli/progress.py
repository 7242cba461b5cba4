"""Display: the progress of a run, as a live table at a terminal and as plain lines elsewhere."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol, Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from orchestrator.budget.spend import Spend
from orchestrator.events import (
    BudgetShort,
    Cancelled,
    Event,
    Planned,
    Planning,
    ReviewAsked,
    RoundStarted,
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
from orchestrator.model_calls.call_events import FellBack, ModelLoading
from orchestrator.planning.plan import Plan
from orchestrator.planning.status_colours import TERMINAL_STYLES
from orchestrator.text import shorten

_WORDS_CHARS = 60
_STAGE_WORDS = {
    "warn": "most of the budget is used",
    "short": "the budget is nearly spent: saving from here on",
    "spent": "the budget is spent",
}


class Display(Protocol):
    """Shows the events of a run."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def tell(self, event: Event) -> None:
        """Show an event. Called on the event loop's thread."""

    def aside(self) -> AbstractContextManager[None]:
        """Show nothing inside the block, where a person is asked. What came meanwhile is shown after it."""


def open_display(console: Console, clock: Callable[[], float] = time.monotonic) -> Display:
    """Return the display that fits the console."""
    return LiveDisplay(console, clock) if console.is_terminal else PlainDisplay(console, clock)


class PlainDisplay:
    """One line for each event."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._start = clock()
        self._lock = threading.Lock()
        self._held_back: list[Text] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Hold the lines back inside the block."""
        self._held_back = []
        try:
            yield
        finally:
            with self._lock:
                lines, self._held_back = self._held_back, None
                for line in lines:
                    self._console.print(line, soft_wrap=True)

    def tell(self, event: Event) -> None:
        """Print the event."""
        line = describe_event(event)
        if line:
            # Text and not markup, since a model may write "[bold]". Not wrapped, so that an event is one line of a log.
            stamp = f"{self._clock() - self._start:6.1f}s "
            text = Text(stamp + line)
            with self._lock:
                if self._held_back is not None:
                    self._held_back.append(text)
                else:
                    self._console.print(text, soft_wrap=True)


def describe_event(event: Event) -> str:
    """Return an event as text, or an empty text for an event that only the live table shows."""
    match event:
        case Planning():
            return "planning"
        case Planned(plan=plan, retries=retries) if retries:
            return "again: " + "; ".join(f"{i} ({plan.by_id[i].attempt}): {text}" for i, text in retries.items())
        case Planned(plan=plan):
            return f"plan of {len(plan.sub_tasks)} sub-tasks\n" + plan.table()
        case RoundStarted(number=number) if number > 1:  # the first follows the plan at once
            return f"round {number}"
        case SubTaskChanged(status="succeeded"):
            return f"{event.id} succeeded in {event.seconds:.1f} s, {_tokens(event)} tokens"
        case SubTaskChanged(status="pending", error=feedback):
            return f"again: {event.id} ({event.attempt}): {feedback}" if feedback else ""
        case SubTaskChanged():
            return f"{event.id} {event.status}" + (f": {event.error}" if event.error else "")
        case ToolCalled():
            return f"{event.sub_task_id} calls {event.tool}({_arguments(event)})"
        case ToolRefused():
            return f"{event.sub_task_id} may not call {event.tool}: {event.why}"
        case ReviewAsked(review=review):
            return f"waits for a human: {review.question} ({review.id})"
        case Summarizing():
            return "writing the answer"
        case BudgetShort(stage=stage, budget=budget):
            return f"{_STAGE_WORDS[stage]} ({budget})"
        case Steered(text=text):
            return f"instruction: {text}"
        case Cancelled(by=by):
            return f"cancelled by {by}" if by else "cancelled"
        case ModelLoading():
            return f"{event.model} loads its model, waiting up to {event.longest_s:.0f} s"
        case FellBack():
            return f"{event.model} failed, asking {event.instead}: {event.error}"
        case _:
            return ""


def _tokens(event: SubTaskChanged) -> int:
    return Spend.of_usage(event.usage).tokens


def _arguments(event: ToolCalled) -> str:
    text = ", ".join(f"{name}={value!r}" for name, value in event.args.items())
    return shorten(text, 80)


class LiveDisplay:
    """A table with the status, dependencies, tokens and time of each sub-task, drawn anew several times a second."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._start = clock()
        self._lock = threading.Lock()  # rich draws on a thread of its own
        self._plan: Plan | None = None
        self._phase = ""
        self._spent = ""
        self._notice = ""
        self._last: dict[str, SubTaskChanged] = {}
        self._doing: dict[str, str] = {}  # by sub-task; the words of the answer are under ""
        self._words: dict[str, tuple[str, str]] = {}
        self._since: dict[str, float] = {}
        self._live: Live | None = None

    def __enter__(self) -> Self:
        # With a function that rich calls on its own thread, the times advance while no event comes.
        self._live = Live(get_renderable=self._render, console=self._console, refresh_per_second=5, transient=False)
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._phase = ""  # the last drawing stays on the screen: it must not show work that has ended
            self._live.stop()
            self._live = None

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Leave the last drawing on the screen, and draw on after the block."""
        if self._live is not None:
            self._live.stop()
        try:
            yield
        finally:
            if self._live is not None:  # the run may have been interrupted meanwhile
                self._live.start(refresh=True)

    def tell(self, event: Event) -> None:
        """Show the event in the table from the next drawing on."""
        with self._lock:
            match event:
                case Planning():
                    self._phase = "planning"
                case Planned(plan=plan):
                    self._plan, self._phase = plan, ""
                    # A sub-task that is sent back shows as pending until its new attempt starts.
                    self._last = {i: event for i, event in self._last.items() if _is_current(event, plan)}
                case SubTaskChanged():
                    self._last[event.id] = event
                    self._doing.pop(event.id, None)
                    self._since.setdefault(event.id, self._clock())
                    if event.status == "running":
                        self._since[event.id] = self._clock()
                case ToolCalled():
                    self._doing[event.sub_task_id] = f"{event.tool}({_arguments(event)})"
                case ToolReturned() | TextVoided():
                    self._doing.pop(event.sub_task_id, None)
                case TextDelta():
                    self._hear(event)
                case Summarizing():
                    self._phase = "writing the answer"
                    self._doing.pop("", None)
                case Spent():
                    dollars = f", ${event.cost_usd:.4f}" if event.cost_usd else ""
                    self._spent = f"{event.model_calls} model calls, {event.tokens:,} tokens{dollars}"
                case BudgetShort() | Cancelled() | FellBack() | ModelLoading() | Steered() | ToolRefused():
                    self._notice = describe_event(event)
                case _:
                    self._phase = ""

    def _hear(self, event: TextDelta) -> None:
        """Keep the newest words of an answer: as many as a line of the table has room for."""
        stream, words = self._words.get(event.sub_task_id, ("", ""))
        # A tab or a line end would break the table, and other control characters could do worse.
        new = "".join(char if char.isprintable() else " " for char in event.text)
        words = (words + new if stream == event.stream else new)[-_WORDS_CHARS:]
        self._words[event.sub_task_id] = (event.stream, words)
        self._doing[event.sub_task_id] = "… " + " ".join(words.split())

    def _render(self) -> RenderableType:
        with self._lock:
            grid = Table.grid(padding=(0, 2))
            if self._plan is not None:
                for task_id in self._plan.by_id:
                    grid.add_row(*self._row(self._plan, task_id))
            if self._phase:
                seconds = Text(f"{self._clock() - self._start:.0f} s")
                words = Text(self._doing.get("", ""), style="dim", overflow="ellipsis", no_wrap=True)
                grid.add_row("", Spinner("dots"), Text(self._phase), seconds, words)
            if self._spent or self._notice:
                grid.add_row("", "", "", Text(self._spent, style="dim"), Text(self._notice, style="yellow"))
            return grid

    def _row(self, plan: Plan, task_id: str) -> list[RenderableType]:
        task, last = plan.by_id[task_id], self._last.get(task_id)
        status = last.status if last else "pending"
        detail = Text(task.description, overflow="ellipsis", no_wrap=True)
        if status == "running":
            doing = self._doing.get(task_id, "thinking")
            detail = Text(doing, style="cyan", overflow="ellipsis", no_wrap=doing.startswith("… "))
        elif status == "pending" and task.depends_on:
            waits = [d for d in task.depends_on if not (e := self._last.get(d)) or e.status != "succeeded"]
            detail = Text(f"waits on {' '.join(waits)}" if waits else task.description, style="dim")
        elif last is not None and last.error:
            detail = Text(last.error, style="red", overflow="ellipsis", no_wrap=True)
        spent = ""
        if last is not None and status == "running":
            spent = f"{self._clock() - self._since[task_id]:.0f} s"
        elif last is not None and last.seconds:
            spent = f"{last.seconds:.1f} s, {_tokens(last):,} tokens"
        attempt = f" ({task.attempt})" if task.attempt > 1 else ""
        return [
            Text(task_id + attempt),
            Text(status, style=TERMINAL_STYLES.get(status, "dim")),
            Text(task.target_agent),
            Text(spent),
            detail,
        ]


def _is_current(event: SubTaskChanged, plan: Plan) -> bool:
    task = plan.by_id.get(event.id)
    return task is not None and event.attempt == task.attempt
