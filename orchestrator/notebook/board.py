"""NotebookBoard: what is known of a run, also after its end, and with what was noticed."""

from collections.abc import Callable

from orchestrator.cli.progress.board import Board
from orchestrator.cli.progress.event_lines import describe_event
from orchestrator.events import (
    BudgetShort,
    Cancelled,
    Event,
    ReviewAsked,
    RunStarted,
    Steered,
    SubTaskChanged,
    ToolRefused,
)
from orchestrator.model_calls.call_events import FellBack
from orchestrator.runs.run import Run

_MOST_NOTICES = 3
_NOTICED = (BudgetShort, Cancelled, FellBack, Steered, ToolRefused)


class NotebookBoard(Board):
    """The state of a run whose output stays when the run has ended.

    Args:
        clock: Returns seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self._ended: float | None = None
        self.thread_id = ""
        self.notices: list[str] = []

    def take(self, event: Event) -> None:
        """Take an event."""
        self.thread_id = event.thread_id or self.thread_id
        if isinstance(event, RunStarted):
            self._ended = None
            self._rest()
        super().take(event)
        if isinstance(event, ReviewAsked):
            self.phase = ""
        if isinstance(event, _NOTICED):
            self._notice(describe_event(event))

    def begin_with(self, run: Run) -> None:
        """Take the plan and the outcomes of a run that is resumed."""
        self.thread_id, self.plan = run.thread_id, run.plan
        # A resumed run tells of no plan and of nothing that is finished.
        for name, outcome in run.outcomes.items():
            self.last[name] = SubTaskChanged(
                name, outcome.status, outcome.attempt, outcome.usage, outcome.seconds, outcome.error
            )

    def end(self, error: str = "") -> None:
        """Take the end of the run, or of a part of it. Nothing is at work any more.

        Args:
            error: Why it could not go on.
        """
        self._ended = self.clock()
        if error:
            self._notice(error)
        self._rest()

    def _rest(self) -> None:
        self.phase = ""
        self.forget_activities()
        # The sub-tasks that a cancelled run was at have no end of their own.
        self.last = {name: event for name, event in self.last.items() if event.status != "running"}

    def _notice(self, text: str) -> None:
        self.notices = [*self.notices, text][-_MOST_NOTICES:]

    @property
    def is_at_work(self) -> bool:
        """True while an agent works."""
        # While the supervisor revises a plan, its request is all that is told.
        is_busy = self.phase or self.has_activities or "running" in self.statuses().values()
        return self._ended is None and bool(is_busy)

    @property
    def elapsed(self) -> float:
        """The seconds since the beginning."""
        return (self.clock() if self._ended is None else self._ended) - self.began

    def took(self, name: str) -> float:
        """Return the duration of the attempt at a sub-task that has ended."""
        return self.last[name].seconds if name in self.last else 0.0

    def error(self, name: str) -> str:
        """Return why a sub-task failed, or with which feedback it was sent back."""
        return self.last[name].error if name in self.last else ""

    def activity(self, name: str) -> str:
        """Return what an agent does now: a tool that works, or else a request to a model; empty for neither."""
        newest = next(self.activities(name), None)
        if newest is None:
            return ""
        return newest.text if newest.is_tool else f"{newest.text}, {self.clock() - newest.since:.0f} s"
