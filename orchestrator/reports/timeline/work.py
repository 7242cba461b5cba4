"""Requests to models and tool calls as bars."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from orchestrator.reports.history.task import AttemptHistory
from orchestrator.reports.history.uses import ModelUse, Stretch, ToolUse
from orchestrator.reports.timeline.bars import Bar, BarState
from orchestrator.reports.timeline.waits import Clock
from orchestrator.reports.wording import amount_text, called, seconds_text
from orchestrator.text import normal_text, shorten

_TITLE_CHARS = 200


class WorkBars:
    """Makes bars of what worked.

    Args:
        stretches: The times in which processes ran the task.
        clock: The seconds of a time.
        end: The end of the picture, in seconds.
        is_running: True if a process runs the task now.
    """

    def __init__(self, stretches: Sequence[Stretch], clock: Clock, end: float, *, is_running: bool) -> None:
        self._clock = clock
        self._end = end
        self._is_running = is_running
        self._stretches = [(clock(each.began), clock(each.end)) for each in stretches]

    def end_of(self, began: float, ended: datetime | None) -> tuple[float, BarState]:
        """Return the end of some work, and how it ended if that was not told."""
        if ended is not None:
            return max(began, self._clock(ended)), ""
        last = self._stretches[-1] if self._stretches else (0.0, self._end)
        if self._is_running and began >= last[0]:
            return self._end, "running"
        # Its process was killed, or has gone on without telling of it.
        ends = (until for since, until in self._stretches if since <= began <= until)
        return max(began, next(ends, last[1])), "cut_off"

    def model(self, use: ModelUse, label: str = "") -> Bar:
        """Return a request to a model.

        Args:
            use: The request.
            label: What it is for; the model by default.
        """
        began = self._clock(use.began)
        ended, state = self.end_of(began, use.ended)
        if use.error:
            state = "failed"
        told = [f"{label}: {use.model}" if label else use.model, seconds_text(ended - began)]
        if state == "running":
            told.append("goes on")
        elif state == "cut_off":
            told.append("cut off with its process")
        if use.spent.tokens:
            told.append(amount_text(use.spent))
        told += [f"calls {call.get('name', '')}" for call in use.calls[:3]]
        if use.cut_off:
            told.append(f"cut off: {use.cut_off}")
        if use.error:
            told.append(f"failed: {shorten(normal_text(use.error), _TITLE_CHARS)}")
        return Bar("model", began, ended, label or use.model, ", ".join(told), state)

    def tool(self, use: ToolUse) -> Bar:
        """Return a tool call."""
        began = self._clock(use.began)
        ended, state = self.end_of(began, use.ended)
        told = [called(use.tool, use.args, _TITLE_CHARS), seconds_text(ended - began)]
        if use.refused:
            state = "refused"
            told[1] = f"refused: {shorten(normal_text(use.refused), _TITLE_CHARS)}"
        elif use.error:
            state = "failed"
            told.append(f"failed: {shorten(normal_text(use.error), _TITLE_CHARS)}")
        elif state:
            told.append({"running": "goes on", "cut_off": "cut off with its process"}[state])
        return Bar("tool", began, ended, use.tool, ", ".join(told), state)

    def attempt(self, attempt: AttemptHistory) -> Iterator[Bar]:
        """Yield the whole work of an attempt, if it has begun."""
        if attempt.began is None:
            return
        began = self._clock(attempt.began)
        ended, state = self.end_of(began, attempt.ended)
        if attempt.status == "failed":
            state = "failed"
        elif state == "cut_off" and any(each.answered is None for each in attempt.reviews):
            ended, state = self._end, "running"  # it goes on with the answer
        words = f"attempt {attempt.attempt}, {attempt.status or 'goes on'}, {seconds_text(ended - began)}"
        if attempt.error:
            words += f": {shorten(normal_text(attempt.error), _TITLE_CHARS)}"
        yield Bar("attempt", began, ended, "", words, state)


def put_into_lanes(bars: Sequence[Bar]) -> int:
    """Give bars that overlap lanes of their own, and return the number of lanes.

    Args:
        bars: The bars of a row without the attempts behind them, in the order of their beginnings.
    """
    free: list[float] = []
    for bar in bars:
        # A request ends and a tool call begins at one moment, by clocks that are read one after the other.
        lane = next((at for at, until in enumerate(free) if until <= bar.began + 1e-6), len(free))
        if lane == len(free):
            free.append(0.0)
        free[lane] = bar.ended
        bar.lane = lane
    return max(1, len(free))
