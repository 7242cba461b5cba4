"""SubTaskReport: what a report tells of one sub-task."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.budget.spend import Spend
from orchestrator.memory.entry import Entry
from orchestrator.planning.outcome import Outcome
from orchestrator.reports.history.objections import objections_to
from orchestrator.reports.history.plain import plain_history
from orchestrator.reports.history.task import AttemptHistory, TaskHistory
from orchestrator.reports.results import SubTaskResult

_EARLIER = re.compile(r"(\d+)\.(.+)")
_ONLY_RESULT = "Of an earlier task only the result was kept."


@dataclass
class SubTaskReport:
    """The account of one sub-task. The names of the fields are those of the JSON form.

    Args:
        id: The sub-task. One of an earlier task has the number of the task before it, as in `1.t1`.
        number: Its place in the newest plan, from 1; 0 for one that only an earlier plan had.
        description: The work.
        agent: The worker.
        depends_on: The sub-tasks whose results it needs.
        requires_approval: True if a human has to accept its result.
        status: As in its outcome; `interrupted` if the process of the run ended in the middle of it.
        attempt: The number of the attempt that counts.
        key: The key of its result.
        text: The whole result.
        sources: The tools that the result was made with.
        tainted_by: The sources from outside that it rests on.
        verdict: A reviewer's judgement.
        error: Why it failed, or why its result is not whole.
        gaps: What the database does not hold of it, as sentences.
        seconds: Seconds of work of the attempt that counts.
        spent: Tokens, calls and dollars of all its attempts.
        attempts: All attempts, as `show THREAD SUBTASK --json` tells them.
    """

    id: str
    number: int = 0
    description: str = ""
    agent: str = ""
    depends_on: list[str] = field(default_factory=list)
    requires_approval: bool = False
    status: str = "pending"
    attempt: int = 0
    key: str = ""
    text: str = ""
    sources: list[str] = field(default_factory=list)
    tainted_by: list[str] = field(default_factory=list)
    verdict: dict[str, Any] | None = None
    error: str = ""
    gaps: list[str] = field(default_factory=list)
    seconds: float = 0.0
    spent: Spend = field(default_factory=Spend)
    attempts: list[dict[str, Any]] = field(default_factory=list)


def sub_task_reports(
    history: TaskHistory | None,
    planned: Sequence[Mapping[str, Any]],
    outcomes: Mapping[str, Outcome],
    results: Mapping[str, SubTaskResult],
    *,
    is_running: bool = False,
) -> list[SubTaskReport]:
    """Return the sub-tasks of a task: those of its plan in order, and then those of earlier plans.

    Args:
        history: What the journal tells of the task.
        planned: The sub-tasks of the plan, JSON-plain.
        outcomes: The outcomes in the state of the thread.
        results: The results in the state of the thread.
        is_running: True if a process runs the task now.
    """
    # One pass over the attempts: a plan may have a thousand sub-tasks.
    by_id: dict[str, list[AttemptHistory]] = {str(spec["id"]): [] for spec in planned}
    for attempt in history.attempts if history else ():
        by_id.setdefault(attempt.sub_task, []).append(attempt)
    specs = {str(spec["id"]): (number, spec) for number, spec in enumerate(planned, 1)}
    reports = []
    for name, attempts in by_id.items():
        number, spec = specs.get(name, (0, {}))
        report = _planned(name, number, spec)
        if history is not None and attempts:
            _add_attempts(report, history, attempts, is_running=is_running)
        if name in outcomes:
            _add_outcome(report, outcomes[name], results.get(name))
        reports.append(report)
    return reports


def planned_sub_task(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a sub-task of a plan with all its fields. A journal leaves out those with their defaults."""
    return {
        "id": str(spec.get("id", "")),
        "description": str(spec.get("description", "")),
        "target_agent": str(spec.get("target_agent", "")),
        "depends_on": [str(name) for name in spec.get("depends_on") or ()],
        "requires_approval": bool(spec.get("requires_approval")),
    }


def _planned(name: str, number: int, spec: Mapping[str, Any]) -> SubTaskReport:
    _, description, agent, needed, requires_approval = planned_sub_task(spec).values()
    return SubTaskReport(name, number, description, agent, needed, requires_approval)


def _add_attempts(
    report: SubTaskReport, history: TaskHistory, attempts: list[AttemptHistory], *, is_running: bool
) -> None:
    last = attempts[-1]
    report.description = report.description or last.description
    report.agent = report.agent or last.agent
    is_cut_off = last.ended is None and last.status == "running" and not is_running
    report.status = "interrupted" if is_cut_off else last.status
    report.attempt, report.text, report.error = last.attempt, last.text, last.error
    report.key = str(last.outcome.get("key", ""))
    for name in ("sources", "tainted_by"):
        setattr(report, name, list(last.outcome.get(name) or ()))
    report.verdict = last.outcome.get("verdict")
    report.seconds = float(last.outcome.get("seconds") or 0.0)
    report.spent = sum((attempt.spent for attempt in attempts), Spend())
    report.attempts = [
        {**plain_history(attempt), "objections": plain_history(objections_to(history, attempt))} for attempt in attempts
    ]


def _add_outcome(report: SubTaskReport, outcome: Outcome, result: SubTaskResult | None) -> None:
    """Add what the state of the thread has, which goes before the journal."""
    report.status, report.attempt, report.key = outcome.status, outcome.attempt, outcome.key
    report.agent = outcome.agent or report.agent
    report.error, report.seconds = outcome.error, outcome.seconds
    # The journal knows what all attempts cost, and the outcome only the last one.
    if not report.attempts:
        report.spent = Spend.of_usage(outcome.usage)
    if result is not None:
        report.text = result.text
        report.sources, report.tainted_by = list(result.sources), list(result.tainted_by)
        report.verdict, report.gaps = result.verdict, list(result.gaps)


def earlier_results(
    references: Iterable[Mapping[str, Any]], histories: Sequence[TaskHistory], entries: Sequence[Entry]
) -> list[SubTaskReport]:
    """Return the results of earlier tasks that an answer rests on.

    Args:
        references: What the answer rests on, JSON-plain.
        histories: All tasks that the journal tells of.
        entries: What the shared memory keeps of earlier tasks.
    """
    reports = []
    for reference in references:
        name = str(reference.get("sub_task_id", ""))
        if (match := _EARLIER.fullmatch(name)) is None:
            continue
        history = next((each for each in reversed(histories) if each.number == int(match[1])), None)
        attempts = history.attempts_at(match[2]) if history is not None else []
        if history is not None and attempts:
            [report] = sub_task_reports(None, [{"id": name}], {}, {})
            _add_attempts(report, history, attempts, is_running=False)
            reports.append(report)
        else:
            # The journal of a thread that an older version began opens after that task.
            reports += [each for each in entry_results(int(match[1]), entries) if each.id == name]
    return reports


def entry_results(number: int, entries: Iterable[Entry]) -> list[SubTaskReport]:
    """Return the results of an earlier task of which the shared memory has the texts and the journal nothing.

    Args:
        number: The number of the task.
        entries: What the shared memory keeps.
    """
    return [
        SubTaskReport(
            entry.sub_task_id,
            agent=entry.agent,
            status="succeeded",
            key=entry.key,
            text=entry.text,
            sources=list(entry.sources),
            tainted_by=list(entry.taint),
            gaps=[_ONLY_RESULT],
        )
        for entry in entries
        if entry.turn == number and entry.sub_task_id
    ]
