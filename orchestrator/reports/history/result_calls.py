"""The tool calls of each result, read from a part of a journal."""

from collections.abc import Iterable

from orchestrator.journal.record import JournalRecord
from orchestrator.reports.history.attempts import Attempts
from orchestrator.reports.history.calls import CALL_READERS
from orchestrator.reports.history.task import TaskHistory
from orchestrator.reports.history.uses import ToolUse

TOOL_KINDS = frozenset({"tool_called", "tool_returned", "tool_refused"})
KINDS = TOOL_KINDS | {"run_began", "sub_task_started", "sub_task_ended"}
"""The kinds that `result_calls` reads."""


def result_calls(records: Iterable[JournalRecord]) -> dict[str, list[ToolUse]]:
    """Return the tool calls by the key of the result that they led to.

    A result whose end the journal does not tell of has no key here.

    Args:
        records: Records of these kinds, in order.
    """
    attempts: Attempts | None = None
    for record in records:
        # The journal of a thread that an older version began opens in the middle of a task.
        if attempts is None or record.kind == "run_began":
            attempts = Attempts(TaskHistory("", 0, record.at))
        if record.kind == "sub_task_started":
            attempts.start(record)
        elif record.kind == "sub_task_ended":
            attempts.end(record)
        elif record.kind in TOOL_KINDS:
            CALL_READERS[record.kind](attempts, record)
    ended = attempts.task.attempts if attempts is not None else []
    return {str(each.outcome["key"]): each.tool_uses for each in ended if "key" in each.outcome}
