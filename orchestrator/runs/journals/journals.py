"""Journals: the part of `OrchestratorClient` that reads what happened on a thread."""

import asyncio
from collections.abc import AsyncIterator, Iterator

from orchestrator.background import run_in_background
from orchestrator.concurrency import AWAITING
from orchestrator.journal.reading import read_journal
from orchestrator.journal.record import JournalRecord
from orchestrator.journal.verification import JournalCheck, verify_journal
from orchestrator.persistence.database import Persistence
from orchestrator.runs.journals.tracing import export_trace
from orchestrator.runs.thread_states import ThreadStates
from orchestrator.traces.setting import Traces

_LOOK_S = 0.25  # a look costs one indexed query


class Journals:
    """The part of `OrchestratorClient` that reads journals."""

    persistence: Persistence
    _states: ThreadStates

    def journal(self, thread_id: str, since: int = 0) -> list[JournalRecord]:
        """Return what has happened on a thread, in order.

        Args:
            thread_id: The thread.
            since: The number of the last record that is known already.

        Raises:
            UnknownThreadError: There is no such thread.
        """
        return run_in_background(lambda: self.ajournal(thread_id, since))

    async def ajournal(self, thread_id: str, since: int = 0) -> list[JournalRecord]:
        """Async twin of `journal`."""
        await self._states.record(thread_id)
        return await read_journal(AWAITING, self.persistence.store, thread_id, since)

    def follow(self, thread_id: str, since: int = 0) -> Iterator[JournalRecord]:
        """Yield what has happened on a thread, and then what happens, until no process runs it any more.

        The run may be in any process. What is no fact of its own is seen within about a second; in a store of your own,
        with the next fact that is saved.

        Args:
            thread_id: The thread.
            since: The number of the last record that is known already.

        Raises:
            UnknownThreadError: There is no such thread.
        """
        records = self.afollow(thread_id, since)
        while True:
            try:
                yield run_in_background(lambda: _next(records))
            except StopAsyncIteration:
                return

    async def afollow(self, thread_id: str, since: int = 0) -> AsyncIterator[JournalRecord]:
        """Async twin of `follow`."""
        await self._states.record(thread_id)
        store, seen = self.persistence.store, set[str]()
        while True:
            # Asked before the reading, since a run writes its last records before it lets go of its thread.
            is_running = self.persistence.is_leased(thread_id)
            for record in await read_journal(AWAITING, store, thread_id, since):
                if record.hash not in seen:
                    seen.add(record.hash)
                    yield record
                    # A foreign store may give the newest number once more.
                    since = max(since, record.seq - 1)
            if not is_running:
                return
            await asyncio.sleep(_LOOK_S)

    def verify_journal(self, thread_id: str, head: str = "") -> JournalCheck:
        """Check that nothing in the journal of a thread was changed, taken out or put in.

        Args:
            thread_id: The thread.
            head: The hash of a record that has to be there, as an earlier verification gave it.

        Raises:
            UnknownThreadError: There is no such thread.
        """
        return run_in_background(lambda: self.averify_journal(thread_id, head))

    async def averify_journal(self, thread_id: str, head: str = "") -> JournalCheck:
        """Async twin of `verify_journal`."""
        await self._states.record(thread_id)
        return await verify_journal(AWAITING, self.persistence.store, thread_id, head)

    def export_trace(self, thread_id: str, to: Traces | None = None) -> list[str]:
        """Send what has happened on a thread as OpenTelemetry spans, and return the id of the trace of each task.

        A second export sends the same spans with the same ids. A thread that is not finished is sent as far as it is.

        Args:
            thread_id: The thread.
            to: The address of a collector, or an exporter; None for the one that the environment names.

        Raises:
            UnknownThreadError: There is no such thread.
            ConfigError: OpenTelemetry is not installed, or `to` is neither.
            OrchestratorError: The collector did not take the spans.
        """
        return run_in_background(lambda: self.aexport_trace(thread_id, to))

    async def aexport_trace(self, thread_id: str, to: Traces | None = None) -> list[str]:
        """Async twin of `export_trace`."""
        return await export_trace(thread_id, await self.ajournal(thread_id), to)


async def _next(records: AsyncIterator[JournalRecord]) -> JournalRecord:
    return await anext(records)
