"""Reading requests to models and tool calls into a history."""

from collections.abc import Callable
from typing import Any

from orchestrator.budget.spend import amount_in
from orchestrator.journal.record import JournalRecord
from orchestrator.reports.history.attempts import Attempts
from orchestrator.reports.history.uses import ModelUse, ToolUse


def _use_of(record: JournalRecord) -> ModelUse:
    data = record.data
    return ModelUse(str(data.get("agent", "")), str(data.get("model", "")), str(data.get("call", "")), record.at)


def _asked(attempts: Attempts, record: JournalRecord) -> None:
    use = _use_of(record)
    use.prompt = list(record.data.get("prompt") or ())
    use.waited = dict(record.data.get("waited") or {})
    (attempts.working(record).models if record.sub_task else attempts.task.supervisor).append(use)


def _answered(attempts: Attempts, record: JournalRecord) -> None:
    uses, data = attempts.of(record).models if record.sub_task else attempts.task.supervisor, record.data
    # The names of requests are unique on a thread.
    use = next((each for each in uses if each.call == str(data.get("call", ""))), None)
    if use is None:  # its beginning was lost with a process
        use = _use_of(record)
        uses.append(use)
    use.ended, use.spent = record.at, amount_in(data)
    use.text, use.cut_off = str(data.get("text", "")), str(data.get("cut_off", ""))
    use.error = str(data.get("error", "its process was killed" if record.kind == "model_lost" else ""))
    use.first_s = data.get("first_token")
    use.error_type = str(data.get("error_type", ""))
    use.calls = list(data.get("calls") or ())


def _called(attempts: Attempts, record: JournalRecord) -> None:
    attempts.working(record).tool_uses.append(_tool_use_of(record))


def _tool_use_of(record: JournalRecord, ended: Any = None) -> ToolUse:
    data = record.data
    args = dict(data.get("args") or {})
    return ToolUse(str(data.get("tool", "")), str(data.get("call", "")), args, record.at, ended)


def _returned(attempts: Attempts, record: JournalRecord) -> None:
    uses, data = attempts.of(record).tool_uses, record.data
    # The newest: a call that a killed process had begun is made again under the same name.
    named = (each for each in reversed(uses) if each.call == str(data.get("call", "")) and each.ended is None)
    use = next(named, None)
    if use is None:
        use = _tool_use_of(record)
        uses.append(use)
    use.ended, use.tainted_by = record.at, list(data.get("tainted_by") or ())
    use.answer, use.error = str(data.get("answer", "")), str(data.get("error", ""))


def _refused(attempts: Attempts, record: JournalRecord) -> None:
    use = _tool_use_of(record, record.at)
    use.refused = str(record.data.get("why", ""))
    attempts.of(record).tool_uses.append(use)


CALL_READERS: dict[str, Callable[[Attempts, JournalRecord], None]] = {
    "model_asked": _asked,
    "model_answered": _answered,
    "model_failed": _answered,
    "model_lost": _answered,
    "tool_called": _called,
    "tool_returned": _returned,
    "tool_refused": _refused,
}
