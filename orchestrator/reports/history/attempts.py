"""Attempts: the attempts of one task, while its journal is read."""

from orchestrator.journal.record import JournalRecord
from orchestrator.reports.history.task import AttemptHistory, TaskHistory
from orchestrator.reports.history.uses import Wait

_BEGINNINGS = ("sub_task_waits", "sub_task_started")


class Attempts:
    """The attempts of one task, found by sub-task and by result.

    Args:
        task: The task.
    """

    def __init__(self, task: TaskHistory) -> None:
        self.task = task
        # A plan may have a thousand sub-tasks, and each of them many records.
        self._newest: dict[str, AttemptHistory] = {}
        self._results: dict[str, AttemptHistory] = {}

    def of(self, record: JournalRecord) -> AttemptHistory:
        """Return the attempt that a record belongs to: the last one at its sub-task, or a new one after its end."""
        newest = self._newest.get(record.sub_task)
        if newest is not None and (newest.ended is None or record.kind not in _BEGINNINGS):
            return newest
        attempt = self._newest[record.sub_task] = AttemptHistory(record.sub_task, record.attempt or 1)
        self.task.attempts.append(attempt)
        return attempt

    def working(self, record: JournalRecord) -> AttemptHistory:
        """Return the attempt of a record that shows that its sub-task waits no longer."""
        attempt = self.of(record)
        # A node that is resumed waits again for the same dependencies, and tells so again.
        for wait in attempt.waits:
            wait.ended = wait.ended or record.at
        # A request that was under way when its attempt was given up still comes to its end.
        attempt.status = attempt.status if attempt.ended is not None else "running"
        return attempt

    def wait(self, record: JournalRecord) -> None:
        """Read the beginning of a wait."""
        attempt = self.working(record)
        names = [str(name) for name in record.data.get("names") or ()]
        attempt.waits.append(Wait(str(record.data.get("reason", "")), names, record.at))
        attempt.status = "waiting"

    def start(self, record: JournalRecord) -> None:
        """Read the beginning of an attempt."""
        attempt = self.working(record)
        attempt.attempt, attempt.began = record.attempt or 1, record.at
        for name in ("agent", "description", "message", "prompt", "tools", "feedback"):
            if name in record.data:
                setattr(attempt, name, record.data[name])

    def draft(self, record: JournalRecord) -> None:
        """Read a result that waits for a human."""
        self.of(record).text = str(record.data.get("text", ""))

    def end(self, record: JournalRecord) -> None:
        """Read the end of an attempt."""
        attempt, data = self.working(record), record.data
        attempt.ended, attempt.status = record.at, str(data.get("status", ""))
        attempt.agent = attempt.agent or str(data.get("agent", ""))
        attempt.text, attempt.error = str(data.get("text", "")), str(data.get("error", ""))
        attempt.outcome = dict(data)
        self._results[str(data.get("key", ""))] = attempt

    def send_back(self, record: JournalRecord) -> None:
        """Read why an attempt is done again."""
        attempt = self.of(record)
        attempt.sent_back = str(record.data.get("feedback", ""))
        if reviewers := record.data.get("reviewers"):
            attempt.sent_back_by = ", ".join(map(str, reviewers))
        else:
            attempt.sent_back_by = self._reviewer_of(attempt)
        for name in record.data.get("again") or ():
            other = self._newest.get(str(name))
            # Work that was built on the result begins anew, and its attempt so far has no other end.
            if other is not None and other.began is not None and other.ended is None:
                other.ended, other.status, other.is_retracted = record.at, "retracted", True

    def _reviewer_of(self, attempt: AttemptHistory) -> str:
        """Return the reviewer whose verdict has the words with which an attempt was sent back; empty for a human."""
        # Older records name no reviewer. The verdict that led to one was recorded before it.
        verdicts = ((each.sub_task, each.outcome.get("verdict") or {}) for each in reversed(self.task.attempts))
        wanted = (attempt.sub_task, attempt.sent_back)
        named = (name for name, verdict in verdicts if (verdict.get("sub_task_id"), verdict.get("reason")) == wanted)
        return next(named, "")

    def retract(self, record: JournalRecord) -> None:
        """Read that a result does not count any more, or counts again."""
        if (attempt := self._results.get(str(record.data.get("result", "")))) is not None:
            attempt.is_retracted = record.kind == "result_retracted"
