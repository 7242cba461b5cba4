"""Tracing: sends what a run has done as spans, when the run ends or pauses."""

from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from langgraph.store.base import BaseStore

from orchestrator.concurrency import AWAITING
from orchestrator.daemon_threads import in_own_thread
from orchestrator.errors import OrchestratorError
from orchestrator.journal.reading import read_journal
from orchestrator.journal.record import JournalRecord
from orchestrator.logs import logger
from orchestrator.redaction import redact
from orchestrator.text import sound
from orchestrator.traces.setting import Traces, wanted_traces

if TYPE_CHECKING:
    from orchestrator.traces.span import TraceSpan

T = TypeVar("T")
_log = logger(__name__)


class Tracing:
    """The traces of an orchestrator.

    Args:
        traces: See `TaskOrchestrator`.

    Raises:
        ConfigError: The setting is wrong, or OpenTelemetry is not installed.
    """

    def __init__(self, traces: Traces | None) -> None:
        self._sender = None
        if (target := wanted_traces(traces)) is not None:
            from orchestrator.traces.sender import Sender  # most programs have no traces

            self._sender = Sender(target)

    async def traced(self, store: BaseStore, thread_id: str, run: Coroutine[Any, Any, T]) -> T:
        """Await a run, and send its spans afterwards, however it ends.

        Args:
            store: The store of the thread.
            thread_id: The thread.
            run: The run.
        """
        if self._sender is None:
            return await run
        self._sender.prepare()
        began = datetime.now(UTC)
        try:
            return await run
        finally:
            try:
                records = await read_journal(AWAITING, store, thread_id)
                self._sender.send(lambda: _new_spans(thread_id, records, began))
            except Exception as error:  # noqa: BLE001 - the run has its own result or error, which counts
                _log.warning("thread %s: its traces are not sent: %s", thread_id, redact(sound(str(error))))

    def flush(self) -> None:
        """Wait a moment until all is sent."""
        if self._sender is not None:
            self._sender.flush()


def _new_spans(thread_id: str, records: list[JournalRecord], began: datetime) -> "list[TraceSpan]":
    """Return the spans of the newest task that were not sent at an earlier pause."""
    from orchestrator.reports.history.reading import histories
    from orchestrator.traces.content import is_content_wanted
    from orchestrator.traces.spans import first_unsent, spans_of

    tasks = histories(records)
    # A run that failed before it told of anything has left the task before it as the newest.
    if not tasks or tasks[-1].stretches[-1].end < began:
        return []
    return spans_of(thread_id, tasks[-1], first_unsent(tasks[-1]), with_content=is_content_wanted())


async def export_trace(thread_id: str, records: list[JournalRecord], to: Traces | None) -> list[str]:
    """Send the spans of all tasks of a thread, and return the ids of their traces.

    Args:
        thread_id: The thread.
        records: Its journal.
        to: See `Journals.export_trace`.

    Raises:
        ConfigError: The setting is wrong, or OpenTelemetry is not installed.
        OrchestratorError: The collector did not take them.
    """
    from orchestrator.reports.history.reading import histories
    from orchestrator.traces.content import is_content_wanted
    from orchestrator.traces.sender import Sender, address_of
    from orchestrator.traces.spans import spans_of

    # To ask for an export is to switch it on.
    target = wanted_traces(to)
    target = wanted_traces(True) if target is None else target
    if target is None:
        raise OrchestratorError("OTEL_SDK_DISABLED=true forbids to send traces")
    has_content = is_content_wanted()
    spans = [span for task in histories(records) for span in spans_of(thread_id, task, with_content=has_content)]
    sender = Sender(target)
    try:
        await in_own_thread(lambda: sender.send_now(spans), name="orchestrator-traces")
    except Exception as error:
        raise OrchestratorError(f"{address_of(target)} did not take the traces: {redact(sound(str(error)))}") from error
    return list(dict.fromkeys(f"{span.trace_id:032x}" for span in spans))
