"""Evidence: what a person needs to know before answering a review: what the worker was told, and what it has read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.control_characters import visible_json
from orchestrator.reports.history.task import TaskHistory
from orchestrator.reports.history.uses import ToolUse
from orchestrator.reviews.review import Review
from orchestrator.runs.client import OrchestratorClient
from orchestrator.text import ReadOnNote


@dataclass(frozen=True)
class Evidence:
    """The way to a question.

    Args:
        agent: The worker; empty for a question about the run.
        prompt: The worker's own prompt.
        told: The first message of the worker.
        read: The tool calls that were answered before.
        spent: What each agent has spent, for a question about the budget: name and tokens, the most first.
    """

    agent: str = ""
    prompt: str = ""
    told: str = ""
    read: tuple[ToolUse, ...] = ()
    spent: tuple[tuple[str, int, float], ...] = field(default=())


def evidence_of(tasks: Sequence[TaskHistory], review: Review) -> Evidence:
    """Return what the history of a thread tells of a question.

    Args:
        tasks: The tasks of the thread, oldest first.
        review: The review.
    """
    if not tasks:
        return Evidence()
    if not review.sub_task_id:
        return Evidence(spent=_spent(tasks[-1]))
    attempts = tasks[-1].attempts_at(review.sub_task_id)
    if not attempts:
        return Evidence()
    last = attempts[-1]  # the one that asks: an earlier one was sent back
    read = tuple(use for use in last.tool_uses if use.ended is not None and not use.refused)
    return Evidence(last.agent, last.prompt, last.message, read)


def _spent(task: TaskHistory) -> tuple[tuple[str, int, float], ...]:
    amounts: dict[str, tuple[int, float]] = {}
    for use in task.model_uses:
        tokens, dollars = amounts.get(use.agent, (0, 0.0))
        amounts[use.agent] = (tokens + use.spent.tokens, dollars + use.spent.cost_usd)
    rows = ((agent, tokens, dollars) for agent, (tokens, dollars) in amounts.items() if tokens)
    return tuple(sorted(rows, key=lambda row: -row[1]))


def whole_result(client: OrchestratorClient, review: Review) -> str:
    """Return the whole text of the result in question, of which the review may show the beginning only."""
    shown = str(review.subject.get("result", ""))
    text, note = ReadOnNote.split(shown)
    if note is None:  # the review shows all of it
        return text
    entry = client.memory_of(review.thread_id).read(note.key)
    return shown if entry is None else entry.text


def shown_value(value: object) -> str:
    """Return an argument as a person reads it: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else visible_json(value, indent=2)


def part_of(review: Review, evidence: Evidence, result: str, name: str) -> str | None:
    """Return a text of a review by its name; None if it has none of that name.

    Args:
        review: The review.
        evidence: What led to it.
        result: The whole result in question.
        name: `result`, `subject`, `told`, `prompt`, `arg:NAME` or `read:NUMBER`.
    """
    kind, _, rest = name.partition(":")
    args: Mapping[str, Any] = review.subject.get("args") or {}
    if kind == "arg" and rest in args:
        return shown_value(args[rest])
    if kind == "read" and rest.isdecimal() and int(rest) < len(evidence.read):
        use = evidence.read[int(rest)]
        return use.error or use.answer
    whole = {"result": result, "told": evidence.told, "prompt": evidence.prompt, "subject": ""}
    if name == "subject":
        return visible_json(review.subject, indent=2)
    return whole.get(name)
