"""Histories: what happened on threads, read once and then only as far as it has grown."""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from orchestrator.journal.record import JournalRecord
from orchestrator.reports.history.reading import HistoryReader
from orchestrator.reports.history.task import TaskHistory
from orchestrator.runs.client import OrchestratorClient

_MOST_THREADS = 32  # that are kept; a thread of a thousand sub-tasks takes some megabytes


@dataclass
class ThreadHistory:
    """The history of one thread, as far as it has been read.

    Args:
        tasks: Its tasks, oldest first.
        last: The newest record that was read; None before the first.
        lock: Held by whoever reads or adds.
    """

    reader: HistoryReader = field(default_factory=HistoryReader)
    last: JournalRecord | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def tasks(self) -> list[TaskHistory]:
        """The tasks of the thread, oldest first."""
        return self.reader.tasks

    @property
    def seq(self) -> int:
        """The number of the newest record; 0 before the first."""
        return 0 if self.last is None else self.last.seq


class Histories:
    """The histories of the threads of a database.

    Args:
        client: Reads the journals.
    """

    def __init__(self, client: OrchestratorClient) -> None:
        self._client = client
        self._kept: OrderedDict[str, ThreadHistory] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def reading(self, thread_id: str) -> Iterator[ThreadHistory]:
        """Give a thread's history as it is now, which nobody changes inside the block.

        Args:
            thread_id: The thread.

        Raises:
            UnknownThreadError: There is no such thread.
        """
        with self._lock:
            history = self._kept.setdefault(thread_id, ThreadHistory())
            self._kept.move_to_end(thread_id)
            # Whoever still reads one that is dropped here keeps it until then.
            while len(self._kept) > _MOST_THREADS:
                self._kept.popitem(last=False)
        with history.lock:
            self._catch_up(thread_id, history)
            yield history

    def _catch_up(self, thread_id: str, history: ThreadHistory) -> None:
        last = history.last
        records = self._client.journal(thread_id, since=last.seq - 1 if last else 0)
        if last is not None:
            # The thread may have been deleted, and its name used anew.
            if not records or records[0].hash != last.hash:
                history.reader, history.last = HistoryReader(), None
                records = self._client.journal(thread_id)
            else:
                records = records[1:]
        history.reader.read(records)
        if records:
            history.last = records[-1]
