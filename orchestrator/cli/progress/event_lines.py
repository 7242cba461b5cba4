"""Events in words, one line each."""

from collections.abc import Iterator

from orchestrator.budget.spend import Spend
from orchestrator.events import (
    BudgetShort,
    Cancelled,
    Event,
    Planned,
    Planning,
    ReviewAsked,
    RoundStarted,
    Steered,
    SubTaskChanged,
    Summarizing,
    ToolCalled,
    ToolRefused,
)
from orchestrator.model_calls.call_events import FellBack, ModelAsked, ModelLoading, ModelReturned
from orchestrator.reports.wording import called
from orchestrator.text import normal_text

_STAGE_WORDS = {
    "warn": "most of the budget is used",
    "short": "the budget is nearly spent: saving from here on",
    "spent": "the budget is spent",
}
_ARGUMENTS_CHARS = 80


def event_lines(event: Event) -> Iterator[str]:
    """Yield an event as lines of a log: one, one for each sub-task of a plan, or none."""
    if isinstance(event, Planned) and not event.retries:
        yield f"plan of {len(event.plan)} sub-tasks"
        yield from event.plan.table().splitlines()
    elif line := describe_event(event):
        yield line


def describe_event(event: Event) -> str:
    """Return an event as one line; empty for an event that only a screen shows."""
    # Feedback, errors and arguments may have several lines.
    return normal_text(_described(event))


def _described(event: Event) -> str:
    match event:
        case Planning():
            return "planning"
        case Planned(plan=plan, retries=retries) if retries:
            return "again: " + "; ".join(f"{i} ({plan.by_id[i].attempt}): {text}" for i, text in retries.items())
        case Planned(plan=plan):
            return f"plan of {len(plan)} sub-tasks"
        case RoundStarted(number=number) if number > 1:  # the first follows the plan at once
            return f"round {number}"
        case SubTaskChanged(status="succeeded"):
            return f"{event.id} succeeded in {event.seconds:.1f} s, {tokens_of(event):,} tokens"
        case SubTaskChanged(status="pending", error=feedback):
            return f"again: {event.id} ({event.attempt}): {feedback}" if feedback else ""
        case SubTaskChanged():
            return f"{event.id} {event.status}" + (f": {event.error}" if event.error else "")
        case ModelAsked():
            return f"{event.sub_task_id or event.agent} asks {event.model}"
        case ModelReturned(error=error) if error:
            return f"{event.sub_task_id or event.agent}: {event.model} failed: {error}"
        case ToolCalled():
            return f"{event.sub_task_id} calls {call_text(event)}"
        case ToolRefused():
            return f"{event.sub_task_id} may not call {event.tool}: {event.why}"
        case ReviewAsked(review=review):
            return f"waits for a human: {review.question} ({review.id})"
        case Summarizing():
            return "writing the answer"
        case BudgetShort(stage=stage, budget=budget):
            return f"{_STAGE_WORDS.get(stage, stage)} ({budget})"
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


def tokens_of(event: SubTaskChanged) -> int:
    """Return the tokens of an attempt."""
    return Spend.of_usage(event.usage).tokens


def call_text(event: ToolCalled) -> str:
    """Return a tool call as code, shortened."""
    return called(event.tool, event.args, _ARGUMENTS_CHARS)
