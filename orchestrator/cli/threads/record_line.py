"""A record of a journal as one readable line."""

from typing import Any

from orchestrator.budget.spend import amount_in
from orchestrator.journal.record import JournalRecord
from orchestrator.reports.wording import amount_text, called, clock_text, seconds_text
from orchestrator.text import normal_text, shorten

_MOST = 160


def record_line(record: JournalRecord) -> str:
    """Return a record as one line: number, time, sub-task, kind, details, user."""
    # Columns first: a reader looks down for a sub-task, and to the right for what it did.
    attempt = f" ({record.attempt})" if record.attempt > 1 else ""
    where = f"{record.sub_task}{attempt}" if record.sub_task else "-"
    details = "; ".join(part for part in _details(record) if part)
    kind = record.kind.replace("sub_task", "sub-task").replace("_", " ")
    by = f" by {record.by}" if record.by else ""
    line = f"{record.seq:5}  {clock_text(record.at)}  {where:10}  {kind}{by}"
    return f"{line}: {shorten(normal_text(details), _MOST)}" if details else line


def _details(record: JournalRecord) -> list[str]:
    """Return what the line tells of the data, the most important first."""
    data = record.data
    match record.kind:
        case "run_began":
            return [_text(data, "task")]
        case "run_paused" | "run_ended":
            return [_text(data, "status"), _text(data, "why"), *_texts(data, "reviews"), *_texts(data, "notes")]
        case "plan_proposed" | "plan_taken":
            sub_tasks = (data.get("plan") or {}).get("sub_tasks") or ()
            return [f"{len(sub_tasks)} sub-tasks: {', '.join(str(each.get('id')) for each in sub_tasks)}"]
        case "sub_task_waits":
            return [" ".join(["for", _text(data, "reason"), *_texts(data, "names")])]
        case "sub_task_started":
            return [f"{_text(data, 'agent')}: {_text(data, 'description')}"]
        case "sub_task_ended":
            taken = [seconds_text(float(data["seconds"]))] if data.get("seconds") else []
            return [_text(data, "status"), *taken, _text(data, "error") or _text(data, "text")]
        case "sub_task_sent_back":
            return [_text(data, "feedback"), f"again: {', '.join(_texts(data, 'again'))}"]
        case "model_answered" | "model_failed" | "model_lost":
            calls = [f"calls {call.get('name')}" for call in data.get("calls") or ()]
            return [
                _text(data, "model"),
                amount_text(amount_in(data)),
                *calls,
                _text(data, "error") or _text(data, "text"),
            ]
        case "model_asked":
            return [_text(data, "model"), f"{data.get('messages', 0)} messages"]
        case "model_replaced":
            return [f"{_text(data, 'instead')} instead of {_text(data, 'model')}", _text(data, "error")]
        case "tool_called":
            return [called(_text(data, "tool"), data.get("args") or {})]
        case "tool_returned":
            error = f"error: {_text(data, 'error')}" if data.get("error") else ""
            return [f"{_text(data, 'tool')} → {error or _text(data, 'answer')}"]
        case "tool_refused":
            return [called(_text(data, "tool"), data.get("args") or {}, 60), _text(data, "why")]
        case "review_asked":
            return [_text(data, "question"), _text(data, "id")]
        case "review_answered":
            return [_text(data, "action"), _text(data, "text"), _text(data, "review_id")]
    # Also kinds that a newer version has added: all that is short in them.
    return [f"{name} {value}" for name, value in data.items()]


def _text(data: dict[str, Any], name: str) -> str:
    value = data.get(name)
    return "" if value is None else str(value)


def _texts(data: dict[str, Any], name: str) -> list[str]:
    return [str(each) for each in data.get(name) or ()]
