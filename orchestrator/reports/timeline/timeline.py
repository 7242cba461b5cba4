"""Making the timeline of a task out of its history."""

import itertools
from collections.abc import Iterator, Sequence
from datetime import datetime

from orchestrator.reports.history.task import AttemptHistory, TaskHistory
from orchestrator.reports.timeline.bars import Bar, Gap, Row, Timeline
from orchestrator.reports.timeline.critical_path import Work, critical_path
from orchestrator.reports.timeline.supervision import ANSWER, PLAN, supervisor_bars
from orchestrator.reports.timeline.waits import Clock, retry_bars, wait_bars
from orchestrator.reports.timeline.work import WorkBars, put_into_lanes
from orchestrator.reports.wording import seconds_text

_SHORTEST_GAP_S = 0.1
_WHY = {
    "waiting": "a human was asked",
    "unfinished": "its process was killed",
    "interrupted": "it was interrupted",
}


def timeline_of(task: TaskHistory, now: datetime, *, is_running: bool, reader: str = "you") -> Timeline:
    """Return the timeline of a task.

    Args:
        task: The task.
        now: The time up to which what goes on is drawn.
        is_running: True if a process runs the task now.
        reader: Who is asked, in the words of a question that is open.
    """
    return _Making(task, now, reader, is_running=is_running).timeline()


class _Making:
    """One timeline, while it is made."""

    def __init__(self, task: TaskHistory, now: datetime, reader: str, *, is_running: bool) -> None:
        self._task = task
        self._reader = reader
        self._is_running = is_running and task.ended is None
        # An interrupted run of last week is shown until it stopped. One that waits for a human still waits.
        self._is_open = self._is_running or (task.ended is None and task.status == "waiting")
        last = max((each.end for each in task.stretches), default=task.began)
        until = now if self._is_open else max(last, task.ended or last)
        self._clock: Clock = lambda at: max(0.0, (at - task.began).total_seconds())
        self._end = self._clock(until)
        self._work_bars = WorkBars(task.stretches, self._clock, self._end, is_running=self._is_running)
        self._works: list[Work] = []

    def timeline(self) -> Timeline:
        by_row: dict[str, list[AttemptHistory]] = {}
        for attempt in self._task.attempts:
            by_row.setdefault(attempt.sub_task, []).append(attempt)
        ends = {
            name: sorted(self._clock(each.ended) for each in attempts if each.ended is not None)
            for name, attempts in by_row.items()
        }
        # In the order of the plan. Sub-tasks of an earlier plan, which a new one has dropped, come behind.
        planned = {str(spec.get("id", "")): spec for spec in self._task.sub_tasks}
        rows = [
            self._row(name, by_row.get(name, []), planned.get(name, {}), ends)
            for name in dict.fromkeys([*planned, *by_row])
        ]
        plan, answer = self._supervisor()
        timeline = Timeline(self._end, [*plan, *rows, *answer], list(self._gaps()), is_open=self._is_open)
        timeline.path = critical_path(self._works)
        for row in timeline.rows:
            row.lanes = put_into_lanes([bar for bar in row.bars if bar.kind != "attempt"])
        return timeline

    def _gaps(self) -> Iterator[Gap]:
        stretches = self._task.stretches
        for before, after in itertools.pairwise(stretches):
            began, ended = self._clock(before.end), self._clock(after.began)
            if ended - began >= _SHORTEST_GAP_S:
                yield Gap(began, ended, self._gap_words(before.status, ended - began))
        if stretches and not self._is_running and self._is_open:
            began = self._clock(stretches[-1].end)
            if self._end - began >= _SHORTEST_GAP_S:
                yield Gap(began, self._end, self._gap_words(stretches[-1].status, self._end - began))

    @staticmethod
    def _gap_words(status: str, seconds: float) -> str:
        why = _WHY.get(status, "")
        return f"not running for {seconds_text(seconds)}" + (f": {why}" if why else "")

    def _supervisor(self) -> tuple[list[Row], list[Row]]:
        bars = supervisor_bars(self._task, self._work_bars, self._clock, self._end, self._reader)
        rows = []
        for name, about in ((PLAN, "plans"), (ANSWER, "writes")):
            own = [bar for row, bar in bars if row == name]
            # Each question and each request for itself: the sub-tasks come in between.
            self._works += [Work(name, bar.began, bar.ended, [bar]) for bar in own if bar.kind not in ("retry", "rate")]
            rows.append([Row(name, "supervisor", about, bars=own)] if own else [])
        return rows[0], rows[1]

    def _row(
        self,
        name: str,
        attempts: Sequence[AttemptHistory],
        spec: dict[str, object],
        ends: dict[str, list[float]],
    ) -> Row:
        agent = str(spec.get("target_agent") or next((each.agent for each in attempts if each.agent), ""))
        description = str(spec.get("description") or next((each.description for each in attempts), ""))
        row = Row(name, agent, description, self._status(attempts), number=len(attempts))
        for number, attempt in enumerate(attempts):
            bars = self._bars(attempt, ends)
            row.bars += bars
            if number and bars:
                row.attempts.append((min(bar.began for bar in bars), attempt.attempt))
        row.bars.sort(key=lambda bar: (bar.began, bar.ended))
        return row

    def _status(self, attempts: Sequence[AttemptHistory]) -> str:
        if not attempts:
            return "pending"
        last = attempts[-1]
        if last.ended is not None:
            return last.status
        if any(each.answered is None for each in last.reviews):
            return "waiting"
        if not self._is_running and last.began is not None:
            return "interrupted"
        return "running" if last.began is not None and last.status == "running" else "pending"

    def _bars(self, attempt: AttemptHistory, ends: dict[str, list[float]]) -> list[Bar]:
        work = [
            *self._work_bars.attempt(attempt),
            *(self._work_bars.model(use) for use in attempt.models),
            *(self._work_bars.tool(use) for use in attempt.tool_uses),
        ]
        retries = list(retry_bars(attempt.models, self._clock))
        told = wait_bars(attempt, self._clock, self._end, ends, self._reader)
        # Between two requests the failure says why nothing was sent, and a wait is told of the same time.
        waits = [*retries, *(bar for bar in told if bar.kind not in ("retry", "rate") or not _is_within(bar, retries))]
        bars = [*work, *waits]
        # It was work all the same: it is shown, and may have decided when the rest began.
        if attempt.is_retracted:
            for bar in bars:
                bar.is_void = True
        if work:
            self._works.append(self._piece(attempt, work, waits))
        return bars

    def _piece(self, attempt: AttemptHistory, work: Sequence[Bar], waits: Sequence[Bar]) -> Work:
        began = min(bar.began for bar in work)
        # Waits for dependencies and slots are the time of other pieces of work; these have nobody else to blame.
        human = [bar for bar in waits if bar.kind in ("human", "retry", "rate")]
        ended = max(bar.ended for bar in (*work, *human))
        needs = frozenset(name for wait in attempt.waits if wait.reason == "dependency" for name in wait.names)
        had_no_slot = any(bar.kind == "slot" and bar.ended <= began + 1e-3 for bar in waits)
        return Work(attempt.sub_task, began, ended, [*work, *human], needs or None, had_no_slot)


def _is_within(bar: Bar, others: Sequence[Bar]) -> bool:
    return any(other.began - 0.05 <= bar.began and bar.ended <= other.ended + 0.05 for other in others)
