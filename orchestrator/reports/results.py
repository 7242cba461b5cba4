"""SubTaskResult: the whole result of one sub-task, with what the result rests on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from orchestrator.concurrency import Bridge
from orchestrator.journal.reading import read_kinds
from orchestrator.memory.entry import Entry
from orchestrator.persistence.namespaces import namespace
from orchestrator.persistence.rows.pages import read_keys
from orchestrator.planning.outcome import Outcome
from orchestrator.reports.history.result_calls import KINDS, TOOL_KINDS, result_calls
from orchestrator.reports.history.uses import ToolUse

if TYPE_CHECKING:
    from orchestrator.persistence.rows.pages import Rows

_NO_TEXT = "the shared memory does not have the text any more: this is its beginning"
_NO_CALLS = "the journal of the thread does not tell of its tool calls"


@dataclass(frozen=True)
class ToolCallRecord:
    """A tool call of an attempt at a sub-task.

    Args:
        tool: The tool.
        args: The arguments.
        answer: The answer as the worker saw it.
        error: The error that the worker was told instead.
        refused: Reason why the call was not made; empty if it was.
        tainted_by: The sources from outside that the answer rests on.
        began: The time of the call; None if its process was killed before that was saved.
        seconds: Duration; None if its process was killed, or of a call that was not made.
    """

    tool: str
    args: dict[str, Any]
    answer: str = ""
    error: str = ""
    refused: str = ""
    tainted_by: tuple[str, ...] = ()
    began: datetime | None = None
    seconds: float | None = None

    @classmethod
    def of(cls, use: ToolUse) -> "ToolCallRecord":
        """Return the record of a call in a history."""
        has_duration = use.ended is not None and not use.refused
        seconds = round((use.ended - use.began).total_seconds(), 3) if has_duration and use.ended else None
        return cls(use.tool, use.args, use.answer, use.error, use.refused, tuple(use.tainted_by), use.began, seconds)

    def plain(self) -> dict[str, Any]:
        """Return the JSON-plain form."""
        began = self.began.isoformat() if self.began else None
        return {**self.__dict__, "tainted_by": list(self.tainted_by), "began": began}


@dataclass(frozen=True)
class SubTaskResult:
    """The result of one sub-task.

    Args:
        text: The whole result; empty for a sub-task that failed without one, or was skipped.
        status: `succeeded`, `failed` or `skipped`.
        agent: The worker.
        sources: Names of the documents and tools that the text was made from.
        tool_calls: The calls of the attempt, in order.
        verdict: A reviewer's judgement in plain form; None for other workers.
        tainted_by: The sources from outside that the text rests on.
        error: Why it failed, or why its result is not whole.
        gaps: What the database does not hold of it, as sentences: the tool calls of a thread of version 0.1.0, or the
            text where a store of your own has lost it.
    """

    text: str = ""
    status: str = ""
    agent: str = ""
    sources: tuple[str, ...] = ()
    tool_calls: tuple[ToolCallRecord, ...] = ()
    verdict: dict[str, Any] | None = None
    tainted_by: tuple[str, ...] = ()
    error: str = ""
    gaps: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return the JSON-plain form."""
        lists = {name: list(getattr(self, name)) for name in ("sources", "tainted_by", "gaps")}
        return {**self.__dict__, **lists, "tool_calls": [call.plain() for call in self.tool_calls]}


async def read_results(
    bridge: Bridge, store: "Rows", thread_id: str, outcomes: Mapping[str, Outcome]
) -> dict[str, SubTaskResult]:
    """Return the results of the newest task of a thread, by sub-task id.

    Args:
        bridge: Reaches the store.
        store: The store of the thread.
        thread_id: The thread.
        outcomes: The outcomes by sub-task id.

    Raises:
        PersistenceError: The journal cannot be read.
    """
    if not outcomes:
        return {}
    place = namespace(thread_id, "memory")
    # One batch: the outcomes name the keys, and the memory may hold far more.
    rows = await read_keys(bridge, store, place, [outcome.key for outcome in outcomes.values()])
    entries = {row.key: Entry.parse(row.key, row.value) for row in rows if row is not None}
    # The first messages of attempts are long, and only the texts of tool calls are wanted.
    calls = result_calls(await read_kinds(bridge, store, thread_id, KINDS, TOOL_KINDS))
    return {
        name: _result_of(outcome, entries.get(outcome.key), calls.get(outcome.key))
        for name, outcome in outcomes.items()
    }


def _result_of(outcome: Outcome, entry: Entry | None, calls: list[ToolUse] | None) -> SubTaskResult:
    result = SubTaskResult(
        outcome.digest,
        outcome.status,
        outcome.agent,
        tool_calls=tuple(map(ToolCallRecord.of, calls or ())),
        verdict=outcome.verdict.model_dump(mode="json") if outcome.verdict is not None else None,
        error=outcome.error,
        # No worker executed a skipped sub-task, so there is nothing to miss.
        gaps=(_NO_CALLS,) if calls is None and outcome.status != "skipped" else (),
    )
    if entry is not None:
        return replace(result, text=entry.text, sources=entry.sources, tainted_by=entry.taint)
    return replace(result, gaps=(*result.gaps, _NO_TEXT)) if outcome.digest else result
