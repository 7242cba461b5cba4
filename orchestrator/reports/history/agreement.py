"""Agreement of a journal with the state of its thread: outcomes, spending and answer."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from orchestrator.budget.spend import Spend
from orchestrator.memory.entry import digest
from orchestrator.redaction import hide_known
from orchestrator.reports.history.task import AttemptHistory, TaskHistory

if TYPE_CHECKING:
    from orchestrator.planning.outcome import Outcome
    from orchestrator.runs.run import Run

_UNSETTLED = ("interrupted", "running")


def disagreements(task: TaskHistory, run: "Run") -> list[str]:
    """Return what the journal and the state of a thread tell differently, as sentences.

    Args:
        task: The newest task of the thread.
        run: The state of the thread.
    """
    problems = [problem for outcome in run.outcomes.values() for problem in _of_outcome(task, outcome)]
    # A killed process leaves calls that the journal and the ledger settle when the thread is resumed. The status may be
    # that of a review which was open before.
    is_cut_off = bool(task.stretches) and task.stretches[-1].ended is None
    if run.status not in _UNSETTLED and not is_cut_off:
        problems += _of_spending("the run", task.spent, run.spending.total)
        told: dict[str, Spend] = {}
        for attempt in task.attempts:
            told[attempt.sub_task] = told.get(attempt.sub_task, Spend()) + attempt.spent
        problems += _of_sub_tasks(told, run.spending.by_sub_task)
    if task.ended is not None and run.status not in _UNSETTLED:
        if task.status != run.status:
            problems.append(f"the run is {run.status}, and the journal says {task.status}")
        if task.answer and task.answer != hide_known(run.answer):
            problems.append("the answer is another one than in the journal")
    return problems


def _of_outcome(task: TaskHistory, outcome: "Outcome") -> Iterator[str]:
    attempt = _attempt_of(task, outcome)
    if attempt is None:
        yield f"{outcome.id} {outcome.status}, and the journal tells of no such end"
        return
    if attempt.status != outcome.status:
        yield f"{outcome.id} {outcome.status}, and the journal says {attempt.status}"
    if (told := int(attempt.outcome.get("attempt", 1))) != outcome.attempt:
        yield f"{outcome.id} ended in attempt {outcome.attempt}, and the journal says {told}"
    # Of a text with a known key in it, the journal has another beginning.
    if outcome.digest == hide_known(outcome.digest) and digest(attempt.text) != outcome.digest:
        yield f"the result of {outcome.id} is another one than in the journal"
    if attempt.is_retracted and outcome.status == "succeeded":
        yield f"the result of {outcome.id} counts, and the journal says that it was retracted"


def _attempt_of(task: TaskHistory, outcome: "Outcome") -> AttemptHistory | None:
    attempts = (each for each in reversed(task.attempts_at(outcome.id)) if each.outcome.get("key") == outcome.key)
    return next(attempts, None)


def _of_sub_tasks(told: Mapping[str, Spend], booked: Mapping[str, Spend]) -> Iterator[str]:
    for name in dict.fromkeys([*booked, *told]):
        yield from _of_spending(name, told.get(name, Spend()), booked.get(name, Spend()))


def _of_spending(name: str, told: Spend, booked: Spend) -> Iterator[str]:
    # Calls of tools are counted in the ledger when they begin, also those that are refused then.
    for what, mine, theirs in (
        ("input tokens", told.input_tokens, booked.input_tokens),
        ("output tokens", told.output_tokens, booked.output_tokens),
        ("model calls", told.model_calls, booked.model_calls),
        ("US dollars", told.cost_usd, booked.cost_usd),
    ):
        if mine != theirs:
            yield f"{name} spent {theirs:,} {what} by the ledger, and {mine:,} by the journal"
