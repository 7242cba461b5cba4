"""Details: what happened with one sub-task, or with the supervisor, attempt by attempt, with texts that can be long."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestrator.budget.spend import Spend
from orchestrator.reports.history.objections import Objection, objections_to
from orchestrator.reports.history.task import AttemptHistory, TaskHistory
from orchestrator.reports.history.uses import Asked, ModelUse
from orchestrator.reports.timeline.supervision import ANSWER, PLAN, row_of_uses

_SHOWN = 1200  # characters of a text; the rest has a page of its own


@dataclass(frozen=True)
class LongText:
    """A text, or its beginning.

    Args:
        part: Names the text among those of its attempt.
        text: The text as it is shown.
        chars: The length of the whole text.
    """

    part: str
    text: str
    chars: int

    @property
    def is_whole(self) -> bool:
        """True if nothing of the text is missing."""
        return len(self.text) == self.chars

    def __bool__(self) -> bool:
        return bool(self.chars)


@dataclass(frozen=True)
class RequestDetails:
    """One request to a model.

    Args:
        use: The request.
        seconds: Its duration; None while it goes on.
        text: The answer.
        error: Why it failed.
        prompt: The messages, for those of the supervisor: the role and the text of each.
    """

    use: ModelUse
    seconds: float | None
    text: LongText
    error: LongText
    prompt: list[tuple[str, LongText]] = field(default_factory=list)


@dataclass(frozen=True)
class ToolDetails:
    """One tool call.

    Args:
        tool: The tool.
        seconds: Its duration; None while it goes on.
        args: The arguments as JSON.
        answer: The answer, the error or the reason of a refusal.
        state: `answered`, `failed`, `refused` or `not answered`.
        tainted_by: The sources from outside that the answer rests on.
    """

    tool: str
    seconds: float | None
    args: LongText
    answer: LongText
    state: str
    tainted_by: list[str]


@dataclass(frozen=True)
class AttemptDetails:
    """One attempt.

    Args:
        at: The place of the attempt among those at its sub-task, from 0.
        attempt: The attempt.
        status: Its status in a word.
        message: What its worker was told.
        prompt: The worker's own prompt.
        models: Its requests to models.
        tools: Its tool calls.
        result: The result or draft.
        error: Why it failed.
        asked: What humans were asked, each with the text in question.
        objections: Why its result does not stand, and who says so.
    """

    at: int
    attempt: AttemptHistory
    status: str
    message: LongText
    prompt: LongText
    models: list[RequestDetails]
    tools: list[ToolDetails]
    result: LongText
    error: LongText
    asked: list[tuple[Asked, LongText]]
    objections: list[Objection]

    @property
    def verdict(self) -> dict[str, Any]:
        """The verdict of a reviewer; empty for other workers."""
        return dict(self.attempt.outcome.get("verdict") or {})

    @property
    def sources(self) -> list[str]:
        """The names of what the result was made from."""
        return [str(source) for source in self.attempt.outcome.get("sources") or ()]

    @property
    def tainted_by(self) -> list[str]:
        """The sources from outside that the result rests on."""
        return [str(source) for source in self.attempt.outcome.get("tainted_by") or ()]


@dataclass(frozen=True)
class Details:
    """The details of a selected row.

    Args:
        name: The id of the row.
        title: Its name for a person.
        description: What the sub-task is.
        facts: Agent, dependencies and the like, in words.
        spent: The amount that all its requests cost.
        attempts: The attempts, oldest first.
        requests: The requests of the supervisor.
    """

    name: str
    title: str
    description: str = ""
    facts: list[str] = field(default_factory=list)
    spent: Spend = field(default_factory=Spend)
    attempts: list[AttemptDetails] = field(default_factory=list)
    requests: list[RequestDetails] = field(default_factory=list)


def details_of(task: TaskHistory, name: str, *, is_running: bool) -> Details | None:
    """Return the details of a row; None if there is no such row.

    Args:
        task: The task.
        name: The id of a sub-task, or the supervisor's row.
        is_running: True if a process runs the task now.
    """
    if name in (PLAN, ANSWER):
        uses = row_of_uses(task, name)
        title = "supervisor: plans and decides" if name == PLAN else "supervisor: writes the answer"
        requests = [_request(use, f"requests.{number}") for number, use in enumerate(uses)]
        return Details(name, title, spent=sum((use.spent for use in uses), Spend()), requests=requests)
    # A plan that was replaced lacks sub-tasks that were tried, and a new one has sub-tasks that were not.
    spec = next((each for each in task.sub_tasks if each.get("id") == name), None)
    attempts = task.attempts_at(name)
    if spec is None and not attempts:
        return None
    spec = spec or {}
    agent = spec.get("target_agent") or next((each.agent for each in attempts if each.agent), "")
    facts = [f"agent {agent}"] if agent else []
    if needs := spec.get("depends_on"):
        facts.append(f"needs {', '.join(map(str, needs))}")
    if spec.get("requires_approval"):
        facts.append("a human approves its result")
    return Details(
        name,
        name,
        str(spec.get("description") or next((each.description for each in attempts), "")),
        facts,
        sum((each.spent for each in attempts), Spend()),
        [_attempt(task, attempt, at, is_running=is_running) for at, attempt in enumerate(attempts)],
    )


def whole_text(task: TaskHistory, name: str, at: int, part: str) -> str | None:
    """Return a whole text; None if there is none.

    Args:
        task: The task.
        name: The id of a row.
        at: The place of the attempt among those at its sub-task, from 0.
        part: The name of the text, see `LongText`.
    """
    if name in (PLAN, ANSWER):
        uses = row_of_uses(task, name)
        return dict(_texts_of_requests(uses, "requests")).get(part)
    attempts = task.attempts_at(name)
    return dict(_texts(attempts[at])).get(part) if 0 <= at < len(attempts) else None


def _texts(attempt: AttemptHistory) -> Iterator[tuple[str, str]]:
    """Yield all long texts of an attempt with their names."""
    # By the same names as `_attempt` gives them: a link of the page names a text by its part.
    yield from (("message", attempt.message), ("prompt", attempt.prompt), ("result", attempt.text))
    yield "error", attempt.error
    yield from _texts_of_requests(attempt.models, "models")
    for number, use in enumerate(attempt.tool_uses):
        yield f"tools.{number}.args", _as_json(use.args)
        yield f"tools.{number}.answer", use.answer or use.error or use.refused
    for number, asked in enumerate(attempt.reviews):
        yield f"asked.{number}", _in_question(asked)


def _texts_of_requests(uses: Sequence[ModelUse], name: str) -> Iterator[tuple[str, str]]:
    for number, use in enumerate(uses):
        yield f"{name}.{number}.text", use.text
        yield f"{name}.{number}.error", use.error
        for place, message in enumerate(use.prompt):
            yield f"{name}.{number}.prompt.{place}", str(message.get("text", ""))


def _attempt(task: TaskHistory, attempt: AttemptHistory, at: int, *, is_running: bool) -> AttemptDetails:
    # A killed process tells of no end, and the journal of a paused one has the status before the question.
    status = attempt.status
    if attempt.ended is None and not is_running:
        status = "waiting" if any(asked.answered is None for asked in attempt.reviews) else "interrupted"
    return AttemptDetails(
        at,
        attempt,
        status,
        _long("message", attempt.message),
        _long("prompt", attempt.prompt),
        [_request(use, f"models.{number}") for number, use in enumerate(attempt.models)],
        list(_tools(attempt)),
        _long("result", attempt.text),
        _long("error", attempt.error),
        [(asked, _long(f"asked.{number}", _in_question(asked))) for number, asked in enumerate(attempt.reviews)],
        objections_to(task, attempt),
    )


def _tools(attempt: AttemptHistory) -> Iterator[ToolDetails]:
    for number, use in enumerate(attempt.tool_uses):
        state = "refused" if use.refused else "failed" if use.error else "answered" if use.ended else "not answered"
        yield ToolDetails(
            use.tool,
            _seconds(use.began, use.ended),
            _long(f"tools.{number}.args", _as_json(use.args)),
            _long(f"tools.{number}.answer", use.answer or use.error or use.refused),
            state,
            list(use.tainted_by),
        )


def _request(use: ModelUse, name: str) -> RequestDetails:
    prompt = [
        (str(message.get("role", "")), _long(f"{name}.prompt.{place}", str(message.get("text", ""))))
        for place, message in enumerate(use.prompt)
    ]
    error = _long(f"{name}.error", use.error)
    return RequestDetails(use, _seconds(use.began, use.ended), _long(f"{name}.text", use.text), error, prompt)


def _in_question(asked: Asked) -> str:
    """Return the text that a question was about. Arguments of tools and plans are data."""
    subject = asked.review.get("subject") or {}
    if result := subject.get("result"):
        return str(result)
    return _as_json(subject.get("args")) if subject.get("args") else ""


def _long(part: str, text: str) -> LongText:
    return LongText(part, text[:_SHOWN], len(text))


def _as_json(value: object) -> str:
    # Arguments are data of a model, and a tool of one's own may have been given anything.
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def _seconds(began: datetime, ended: datetime | None) -> float | None:
    return None if ended is None else (ended - began).total_seconds()
