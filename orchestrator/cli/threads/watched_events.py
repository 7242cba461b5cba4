"""WatchedEvents: the events that a display needs, out of the records of a journal."""

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from orchestrator.budget.budget import Budget
from orchestrator.budget.spend import Spend, amount_in
from orchestrator.errors import ConfigError, PlanError
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
    ToolCalled,
    ToolRefused,
    ToolReturned,
)
from orchestrator.journal.record import JournalRecord
from orchestrator.model_calls.call_events import FellBack, ModelAsked, ModelReturned
from orchestrator.planning.plan import Plan
from orchestrator.reviews.review import Review


class WatchedEvents:
    """Turns records into events. Words as they stream are in no record."""

    def __init__(self) -> None:
        self._plan: Plan | None = None
        self._spent = Spend()
        self._limits: dict[str, float] = {}
        self._running: dict[str, int] = {}

    def unfinished(self) -> Iterator[Event]:
        """Yield that nothing is running any more, for a run that was cut off."""
        for name, attempt in self._running.items():
            yield SubTaskChanged(name, "pending", attempt)
        self._running = {}

    def of(self, record: JournalRecord) -> Iterator[Event]:
        """Yield the events of one record; none for a record that a display does not show."""
        data, sub_task = record.data, record.sub_task
        match record.kind:
            case "run_began":
                self._spent, self._limits = Spend(), _limits(data)
                yield Planning()
            case "plan_proposed" | "plan_taken":
                yield from self._planned(data)
            case "round_began":
                yield RoundStarted(int(data.get("round", 1)))
            case "run_paused" if record.by:
                yield Cancelled(record.by)
            case "budget_set":
                self._limits = _limits(data)
            case "model_asked":
                yield ModelAsked(*_request(record))
            case "model_answered" | "model_failed" | "model_lost":
                self._spent += amount_in(data)
                yield ModelReturned(*_request(record), str(data.get("error", "")), float(data.get("seconds", 0.0)))
                yield Spent(self._spent.tokens, self._spent.cost_usd, self._spent.model_calls, self._limits)
            case "model_replaced":
                yield FellBack(sub_task, *(str(data.get(name, "")) for name in ("model", "instead", "error")))
            case "tool_called":
                yield ToolCalled(sub_task, str(data.get("tool", "")), dict(data.get("args") or {}))
            case "tool_returned":
                yield ToolReturned(sub_task, str(data.get("tool", "")), str(data.get("call", "")))
            case "tool_refused":
                yield ToolRefused(sub_task, str(data.get("tool", "")), str(data.get("why", "")))
            case "review_asked":
                yield from _asked(data)
            case "budget_short":
                yield BudgetShort(str(data.get("stage", "")), str(data.get("budget", "")))
            case "instruction_given":
                yield Steered(str(data.get("text", "")), record.by, int(data.get("number", 0)))
            case _:
                yield from self._sub_task(record)

    def _sub_task(self, record: JournalRecord) -> Iterator[Event]:
        data, changed = record.data, SubTaskChanged
        attempt = record.attempt or 1
        match record.kind:
            case "sub_task_waits" if data.get("reason") == "human":
                yield changed(record.sub_task, "waiting", attempt)
            case "sub_task_started":
                self._running[record.sub_task] = attempt
                yield changed(record.sub_task, "running", attempt)
            case "sub_task_ended":
                self._running.pop(record.sub_task, None)
                usage, seconds = dict(data.get("usage") or {}), float(data.get("seconds", 0.0))
                yield changed(record.sub_task, data["status"], attempt, usage, seconds, str(data.get("error", "")))
            case "sub_task_sent_back":
                feedback = str(data.get("feedback", ""))
                for name in data.get("again") or ():
                    self._running.pop(name, None)
                    yield changed(name, "pending", attempt, error=feedback if name == record.sub_task else "")

    def _planned(self, data: dict[str, Any]) -> Iterator[Event]:
        try:
            plan = Plan.parse(data.get("plan"))
        except PlanError:
            return  # of a newer version, which may have other fields
        # A proposed plan is told once more when it is taken.
        if plan != self._plan:
            self._plan = plan
            yield Planned(plan)


def events_so_far(records: Sequence[JournalRecord]) -> Iterator[Event]:
    """Yield the events of the newest task of a thread, which no process runs now.

    Args:
        records: The journal of the thread.
    """
    events = WatchedEvents()
    for record in newest_task(records):
        yield from events.of(record)
    yield from events.unfinished()


def newest_task(records: Sequence[JournalRecord]) -> Sequence[JournalRecord]:
    """Return the records of the newest task of a thread."""
    began = (at for at in range(len(records) - 1, -1, -1) if records[at].kind == "run_began")
    return records[next(began, 0) :]


def _asked(data: dict[str, Any]) -> Iterator[Event]:
    try:
        yield ReviewAsked(Review.model_validate(data))
    except ValidationError:
        return  # of a newer version


def _request(record: JournalRecord) -> tuple[str, str, str, str]:
    agent, model, call = (str(record.data.get(name, "")) for name in ("agent", "model", "call"))
    return record.sub_task, agent, model, call


def _limits(data: dict[str, Any]) -> dict[str, float]:
    try:
        return Budget.parse(data.get("budget")).run_limits()
    except ConfigError:
        return {}  # of a newer version
