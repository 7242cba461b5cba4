"""Reading the histories of a thread's tasks out of its journal.

Page, report and command line read a thread through this module, so that all tell the same.
"""

from collections.abc import Callable, Iterable

from orchestrator.journal.record import JournalRecord
from orchestrator.reports.history.attempts import Attempts
from orchestrator.reports.history.calls import CALL_READERS
from orchestrator.reports.history.task import TaskHistory
from orchestrator.reports.history.uses import Asked, Stretch


class HistoryReader:
    """The tasks of a thread, put together while its records come.

    Attributes:
        tasks: The tasks, oldest first.
    """

    def __init__(self) -> None:
        self.tasks: list[TaskHistory] = []
        self._attempts: list[Attempts] = []

    def read(self, records: Iterable[JournalRecord]) -> None:
        """Read further records, in order. Those before the first task are left out."""
        attempts = self._attempts
        for record in records:
            data = record.data
            if record.kind == "run_began":
                budget, models = dict(data.get("budget") or {}), dict(data.get("models") or {})
                number = int(data.get("task_number", 1))
                task = TaskHistory(str(data.get("task", "")), number, record.at, budget=budget, models=models)
                task.auto_approve = bool(data.get("auto_approve"))
                task.key = f"{record.thread_id} {record.key or record.seq}"
                task.stretches.append(Stretch(record.at, _process(record)))
                self.tasks.append(task)
                attempts.append(Attempts(task))
            elif attempts and (read := _READERS.get(record.kind)) is not None:  # a newer version may tell of more
                if record.kind not in _WITHOUT_PROCESS:
                    _at_work(attempts[-1].task, record)
                read(attempts[-1], record)


def histories(records: Iterable[JournalRecord]) -> list[TaskHistory]:
    """Return the tasks of a thread, oldest first.

    Args:
        records: The records of its journal, in order. Those before the first task are left out.
    """
    reader = HistoryReader()
    reader.read(records)
    return reader.tasks


def _at_work(task: TaskHistory, record: JournalRecord) -> None:
    """Read that a process is at work, also if a kill has taken what told of its beginning."""
    if task.stretches[-1].ended is not None:
        task.stretches.append(Stretch(record.at, _UNKNOWN))
    task.stretches[-1].last = record.at


def _process(record: JournalRecord) -> tuple[object, object]:
    return record.data.get("host", ""), record.data.get("pid", 0)


def _paused(attempts: Attempts, record: JournalRecord) -> None:
    attempts.task.status, attempts.task.why = str(record.data.get("status", "")), str(record.data.get("why", ""))
    attempts.task.stretches[-1].close(record.at, attempts.task.status, attempts.task.why)


def _resumed(attempts: Attempts, record: JournalRecord) -> None:
    attempts.task.status, attempts.task.why = "running", ""
    attempts.task.resumed.append(record.at)
    stretch, process = attempts.task.stretches[-1], _process(record)
    # A process that asks a human on the spot goes on by itself, and tells of no pause.
    if stretch.ended is None and stretch.process in (process, _UNKNOWN):
        stretch.process = process
        return
    stretch.close(stretch.end, "unfinished")
    attempts.task.stretches.append(Stretch(record.at, process))


def _ended(attempts: Attempts, record: JournalRecord) -> None:
    attempts.task.status, attempts.task.ended = str(record.data.get("status", "")), record.at
    attempts.task.stretches[-1].close(record.at, attempts.task.status)
    attempts.task.notes = [str(note) for note in record.data.get("notes") or ()]


def _planned(attempts: Attempts, record: JournalRecord) -> None:
    attempts.task.plans.append((record.at, dict(record.data.get("plan") or {})))


def _round_began(attempts: Attempts, record: JournalRecord) -> None:
    attempts.task.rounds.append((int(record.data.get("round", 0)), record.at))


def _proposed(attempts: Attempts, record: JournalRecord) -> None:
    attempts.task.proposed = dict(record.data.get("plan") or {})


def _answered(attempts: Attempts, record: JournalRecord) -> None:
    attempts.task.answer = str(record.data.get("answer", ""))
    attempts.task.references = list(record.data.get("references") or ())


def _instructed(attempts: Attempts, record: JournalRecord) -> None:
    told = {"text": record.data.get("text", ""), "by": record.by, "at": record.at.isoformat()}
    attempts.task.instructions.append(told)


def _limited(attempts: Attempts, record: JournalRecord) -> None:
    budget = dict(record.data.get("budget") or {})
    attempts.task.limits.append({"budget": budget, "by": record.by, "at": record.at.isoformat()})


def _asked(attempts: Attempts, record: JournalRecord) -> None:
    asked = Asked(dict(record.data), record.at)
    attempts.task.reviews.append(asked)
    if record.sub_task:
        attempts.of(record).reviews.append(asked)


def _decided(attempts: Attempts, record: JournalRecord) -> None:
    named = (each for each in attempts.task.reviews if each.review.get("id") == record.data.get("review_id"))
    # A decision may be older than the question in the journal: the gates ask again after a crash.
    if (asked := next(named, None)) is not None:
        asked.decision, asked.by, asked.answered = dict(record.data), record.by, record.at


_UNKNOWN = ("", 0)
# Decisions are told by whoever decides, long after the process of the run has ended.
_WITHOUT_PROCESS = ("review_answered", "instruction_given", "budget_set", "run_resumed", "run_paused")
_READERS: dict[str, Callable[[Attempts, JournalRecord], None]] = {
    "run_paused": _paused,
    "run_resumed": _resumed,
    "run_ended": _ended,
    "plan_taken": _planned,
    "round_began": _round_began,
    "plan_proposed": _proposed,
    "answer_written": _answered,
    "instruction_given": _instructed,
    "budget_set": _limited,
    "review_asked": _asked,
    "review_answered": _decided,
    "sub_task_waits": Attempts.wait,
    "sub_task_started": Attempts.start,
    "result_drafted": Attempts.draft,
    "sub_task_ended": Attempts.end,
    "sub_task_sent_back": Attempts.send_back,
    "result_retracted": Attempts.retract,
    "result_restored": Attempts.retract,
    **CALL_READERS,
}
