"""Contents of a report: what is told of a thread, as JSON-plain data. All forms of the report are made from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from orchestrator.memory.entry import Entry
from orchestrator.memory.reference import Reference
from orchestrator.redaction import hide_secrets
from orchestrator.reports.history.plain import plain_history
from orchestrator.reports.history.task import TaskHistory
from orchestrator.reports.report.decisions import decisions_of
from orchestrator.reports.report.spending import spending_of
from orchestrator.reports.report.sub_tasks import (
    SubTaskReport,
    earlier_results,
    entry_results,
    planned_sub_task,
    sub_task_reports,
)

if TYPE_CHECKING:
    from orchestrator.memory.turns import ConversationTurn
    from orchestrator.runs.run import Run

SHAPE = 1
"""The number of the shape of the data. A report of another shape has another number."""

_NO_JOURNAL = (
    "This task was recorded before there was a journal: only its outcomes were kept, and nothing of requests, "
    "tool calls, times and decisions."
)
_GONE = "The journal does not tell of this task."


@dataclass(frozen=True)
class Source:
    """The material of a report.

    Args:
        run: The state of the thread.
        histories: The tasks that its journal tells of, oldest first.
        entries: What the shared memory keeps of earlier tasks.
        journal: The number of records in the journal, and the hash of the newest.
        version: The version that makes the report.
        at: The time at which it is made.
    """

    run: "Run"
    histories: Sequence[TaskHistory]
    entries: Sequence[Entry]
    journal: tuple[int, str]
    version: str
    at: datetime

    @property
    def newest(self) -> int:
        """The number of the thread's newest task."""
        return max([len(self.run.turns) + 1, *(each.number for each in self.histories[-1:])])

    def history(self, number: int) -> TaskHistory | None:
        """Return what the journal tells of a task."""
        return next((each for each in reversed(self.histories) if each.number == number), None)


@dataclass
class TaskReport:
    """The account of one task. The names of the fields are those of the JSON form.

    Args:
        number: The number of the task on the thread.
        task: The task.
        status: As `Run.status`; of a task without an end, `unknown`.
        why: Reason of a pause.
        began: The time of its beginning; None without a journal.
        ended: The time of its end; None while it goes on, or without a journal.
        worked_s: Seconds in which a process ran it.
        answer: The answer.
        output: The answer as data of the type that was wanted.
        references: The results that the answer rests on.
        missing: What is missing in the answer, and what failed, as sentences.
        gaps: What this report cannot tell, as sentences.
        has_journal: True if the journal tells of the task.
        auto_approve: True if no human was asked.
        sub_tasks: All sub-tasks, those of the newest plan first.
        earlier: The results of earlier tasks that the answer rests on.
        plans: The plans that were carried out, each with its time.
        decisions: What humans decided and told the run, in order, and what they are asked now.
        usage: Tokens, calls and dollars, also by model and by agent.
        budget: The limits at its beginning.
        models: The models and endpoints of the agents.
        supervisor: The supervisor's own requests.
        stretches: The times in which a process ran it.
    """

    number: int
    task: str
    status: str = "unknown"
    why: str = ""
    began: datetime | None = None
    ended: datetime | None = None
    worked_s: float = 0.0
    answer: str = ""
    output: Any = None
    references: list[dict[str, Any]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    has_journal: bool = False
    auto_approve: bool = False
    sub_tasks: list[SubTaskReport] = field(default_factory=list)
    earlier: list[SubTaskReport] = field(default_factory=list)
    plans: list[dict[str, Any]] = field(default_factory=list)
    decisions: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, Any] = field(default_factory=dict)
    budget: dict[str, Any] = field(default_factory=dict)
    models: dict[str, Any] = field(default_factory=dict)
    supervisor: list[Any] = field(default_factory=list)
    stretches: list[dict[str, Any]] = field(default_factory=list)


def contents(source: Source, numbers: Sequence[int]) -> dict[str, Any]:
    """Return what a report tells, without the secrets that this process knows.

    Args:
        source: What it is made from.
        numbers: The numbers of the tasks that it is about.
    """
    run, (records, head) = source.run, source.journal
    plain = {
        "shape": SHAPE,
        "thread_id": run.thread_id,
        "status": run.status,
        "made": {
            "at": source.at.isoformat(),
            "version": source.version,
            "journal": {"records": records, "hash": head},
        },
        "tasks": [plain_history(_task_report(source, number)) for number in numbers],
        "files": [artifact.plain() for artifact in run.artifacts],
    }
    # Once, and before anything is cut or escaped: half a key is no key that could be recognised.
    hidden: dict[str, Any] = hide_secrets(plain)
    return hidden


def _task_report(source: Source, number: int) -> TaskReport:
    run, history = source.run, source.history(number)
    report = TaskReport(number, "") if history is None else _of_history(history)
    if number == len(run.turns) + 1:
        _add_run(report, run, history)
    elif turn := next((turn for turn in run.turns if turn.number == number), None):
        _add_turn(report, turn, history, source.entries)
    report.usage = spending_of(history, report.usage)
    report.earlier = earlier_results(report.references, source.histories, source.entries)
    # A run past the engine's interface has no turns, and its earlier tasks may be gone without a trace.
    if history is None:
        report.gaps.append(_NO_JOURNAL if report.status != "unknown" else _GONE)
    report.gaps += dict.fromkeys(gap for each in report.sub_tasks for gap in each.gaps)
    return report


def _of_history(history: TaskHistory) -> TaskReport:
    report = TaskReport(history.number, history.task, history.status, history.why, history.began, history.ended)
    report.has_journal, report.auto_approve = True, history.auto_approve
    report.answer = history.answer
    # Another version may have told less of them, and templates take no name that is missing.
    report.references = [Reference.parse(each).plain() for each in history.references]
    report.missing = list(history.notes)
    report.plans = [
        {"at": at, "sub_tasks": [planned_sub_task(spec) for spec in plan.get("sub_tasks") or ()]}
        for at, plan in history.plans
    ]
    report.decisions = decisions_of(history)
    report.budget, report.models, report.supervisor = history.budget, history.models, history.supervisor
    # Which machine it was is nobody's business but the owner's.
    report.stretches = [
        {"began": each.began, "ended": each.end, "status": each.status, "why": each.why} for each in history.stretches
    ]
    report.worked_s = round(sum((each.end - each.began).total_seconds() for each in history.stretches), 3)
    report.sub_tasks = sub_task_reports(history, history.sub_tasks, {}, {})
    return report


def _add_run(report: TaskReport, run: "Run", history: TaskHistory | None) -> None:
    """Add what the state of the thread knows of its newest task."""
    report.task, report.status = run.task or report.task, run.status
    report.answer = run.answer or report.answer
    report.output = run.to_dict()["output"] if run.output is not None else None
    report.references = [reference.plain() for reference in run.references]
    report.missing = list(dict.fromkeys([*run.errors, *report.missing]))
    report.models = report.models or run.models
    report.usage = run.spending.plain()
    # The run knows the attempts that a review has led to within a round; the journal's plan does not.
    planned = [each.model_dump(mode="json") for each in run.plan] if run.plan else history.sub_tasks if history else []
    # Only a lease tells an attempt that goes on from one whose process was killed.
    is_running = run.status == "running"
    report.sub_tasks = sub_task_reports(history, planned, run.outcomes, run.results, is_running=is_running)


def _add_turn(
    report: TaskReport, turn: "ConversationTurn", history: TaskHistory | None, entries: Sequence[Entry]
) -> None:
    """Add what the conversation keeps of an earlier task."""
    report.task, report.answer = turn.task or report.task, turn.answer or report.answer
    report.status = turn.status or report.status
    report.references = [reference.plain() for reference in turn.references]
    report.usage = {**turn.usage, "cost_usd": turn.cost_usd}
    if history is None:
        report.sub_tasks = entry_results(turn.number, entries)


def strings(value: Any) -> list[str]:
    """Return all texts in JSON-plain data."""
    if isinstance(value, str):
        return [value]
    # Names are the report's own, and short.
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return [text for part in parts for text in strings(part)]
