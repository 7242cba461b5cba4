"""Reports: the part of `OrchestratorClient` that tells a thread as one file."""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orchestrator.background import run_in_background
from orchestrator.concurrency import AWAITING
from orchestrator.journal.reading import read_journal
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.persistence.database import Persistence
from orchestrator.reports.history.reading import histories

if TYPE_CHECKING:
    from orchestrator.reports.report.report import Form, Which
    from orchestrator.runs.run import Run


class Reports:
    """The part of `OrchestratorClient` that reports threads."""

    persistence: Persistence
    # `OrchestratorClient` has these; a base class of its own would be one more for every reader.
    ashow: Callable[[str], Coroutine[Any, Any, "Run"]]

    def report(self, thread_id: str, form: "Form" = "html", tasks: "Which" = "newest") -> str:
        """Return what happened on a thread as one file that one would send to a colleague.

        Task, answer and what it rests on, plan, decisions, results, tool calls, cost. HTML needs no network and no
        script. Known secrets are taken out.

        Args:
            thread_id: The thread.
            form: `html`, `md` for Markdown, or `json`.
            tasks: The number of a task on the thread, `newest` or `all`.

        Raises:
            UnknownThreadError: There is no such thread.
            ConfigError: There is no such form, or no such task.
        """
        return run_in_background(lambda: self.areport(thread_id, form, tasks))

    async def areport(self, thread_id: str, form: "Form" = "html", tasks: "Which" = "newest") -> str:
        """Async twin of `report`."""
        # The templates and Markdown are for those who want a report.
        from orchestrator import __version__
        from orchestrator.reports.report.contents import Source
        from orchestrator.reports.report.report import report

        run = await self.ashow(thread_id)
        store = self.persistence.store
        records = await read_journal(AWAITING, store, thread_id)
        memory = SharedMemory(store, thread_id)
        entries = await memory.aall() if run.turns else []
        source = Source(
            run=run,
            histories=histories(records),
            entries=entries,
            journal=(len(records), records[-1].hash if records else ""),
            version=__version__,
            at=datetime.now(UTC),
        )
        return report(source, form, tasks)
