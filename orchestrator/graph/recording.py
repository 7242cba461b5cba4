"""Recording: what a sub-task ended with, made durable in the shared memory."""

import time
from collections.abc import Sequence
from typing import Any

from orchestrator.agents.assignment import Result
from orchestrator.agents.worker import Worker
from orchestrator.events import SubTaskChanged
from orchestrator.graph.invocation import Invocation
from orchestrator.graph.payload import Payload
from orchestrator.graph.saved.steps import drop_steps
from orchestrator.journal.fact import Fact
from orchestrator.journal.record import Kind
from orchestrator.logs import logger
from orchestrator.memory.entry import Entry, digest
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.model_calls.truncation import incomplete
from orchestrator.planning.outcome import Outcome, Status
from orchestrator.tool_calls.worker_context import session_of

_log = logger(__name__)


class Recorder:
    """Records results and outcomes of one sub-task.

    Args:
        agent: The worker that executes the sub-task.
        payload: The sub-task.
        invocation: The node's execution.
        memory: The round's view of the shared memory.
    """

    def __init__(self, agent: Worker, payload: Payload, invocation: Invocation, memory: SharedMemory) -> None:
        self._agent = agent
        self._payload = payload
        self._invocation = invocation
        self._memory = memory
        self._began = 0.0
        self._status: Status = "pending"
        self._waiting: tuple[str, ...] = ()

    def begin(self) -> None:
        """Start the clock, and report that the agent works now."""
        self._began = time.monotonic()
        self.report("running")

    def fact(self, kind: Kind, what: str, data: dict[str, Any]) -> Fact:
        """Return what the journal tells of this version of the sub-task, once.

        Args:
            kind: What happened.
            what: Names it among the facts of the version.
            data: What is told of it.
        """
        payload = self._payload
        key = f"{payload.task_number} {payload.key} {what}" if what else ""
        return Fact(kind, payload.sub_task.id, payload.sub_task.attempt, key=key, data=data)

    def waits(self, reason: str, names: Sequence[str] = ()) -> None:
        """Tell the journal that the sub-task waits.

        Args:
            reason: `dependency`, `slot` or `human`.
            names: The sub-tasks or reviews that it waits for.
        """
        # A node that is woken for another reason waits on for the same.
        waiting = (reason, *names)
        if waiting != self._waiting:
            self._waiting = waiting
            self._invocation.journal.note(self.fact("sub_task_waits", "", {"reason": reason, "names": list(names)}))

    def resume(self, waited: float, *, is_running: bool) -> None:
        """Go on after a wait for a human, which is no part of the attempt's time.

        Args:
            waited: Seconds of the wait.
            is_running: True if the agent works again, and False if only its result was reviewed.
        """
        if self._began:
            self._began += waited
        if is_running:
            self.report("running")

    def report(self, status: Status, outcome: Outcome | None = None) -> None:
        """Emit the event of a new status."""
        if outcome is None and status == self._status:
            return  # the node pauses the run after it has waited for a while
        self._status = status
        sub_task = self._payload.sub_task
        _log.debug("thread %s: sub-task %s is %s", self._invocation.memory_id, sub_task.id, status)
        if outcome is None:
            event = SubTaskChanged(sub_task.id, status, sub_task.attempt)
        else:
            ended = (outcome.usage, outcome.seconds, outcome.error)
            event = SubTaskChanged(sub_task.id, status, sub_task.attempt, *ended)
        self._invocation.emit(event)

    async def draft(self, result: Result) -> Entry:
        """Record a result that a human must see first, and return its entry."""
        entry = self._entry(result, self._outcome(result, "succeeded"), "draft")
        fact = self.fact("result_drafted", "draft", _told(result))
        await self._memory.write(self._invocation.bridge, entry, facts=[fact])
        return entry

    async def outcome(self, result: Result, status: Status, **fields: Any) -> Outcome:
        """Record a result with its outcome, and return the outcome.

        From here on the sub-task has been executed.

        Args:
            result: The result.
            status: The status of the outcome.
            fields: Further fields of the outcome.
        """
        outcome = self._outcome(result, status, **fields)
        entry = self._entry(result, outcome, "final" if status == "succeeded" else "note")
        # Before anything is freed: a kill in between leaves steps behind, and loses no result.
        data = {**_told(result), **outcome.model_dump(mode="json", exclude_defaults=True, exclude={"id", "digest"})}
        fact = self.fact("sub_task_ended", "ended", data)
        await self._memory.write(self._invocation.bridge, entry, facts=[fact])
        if self._agent.has_steps:
            # Nothing resumes the agent any more: the checkpoints of its steps, and whatever its tools keep open for the
            # sub-task (such as a Python session), can go.
            await drop_steps(self._invocation)
            session = session_of(self._invocation.memory_id, self._payload.key)
            await self._agent.end_sub_task(self._invocation.bridge, session)
        return outcome

    def _outcome(self, result: Result, status: Status, **fields: Any) -> Outcome:
        # The agent did not run for a sub-task that is skipped, or whose draft is only reviewed.
        seconds = round(time.monotonic() - self._began, 3) if self._began else 0.0
        return Outcome(
            id=self._payload.sub_task.id,
            key=self._payload.key,
            status=status,
            agent=self._agent.name,
            digest=digest(result.text),
            attempt=self._payload.sub_task.attempt,
            verdict=result.verdict,
            usage=result.spent.usage(),
            **{"seconds": seconds, "error": incomplete(result.cut_off) if result.cut_off else "", **fields},
        )

    def _entry(self, result: Result, outcome: Outcome, status: Any) -> Entry:
        return Entry(
            key=self._payload.key,
            text=result.text,
            sub_task_id=self._payload.sub_task.id,
            agent=self._agent.name,
            sources=result.sources,
            trusted=not result.tainted_by,
            tainted_by=result.tainted_by,
            status=status,
            outcome=outcome.plain(),
        )


def _told(result: Result) -> dict[str, Any]:
    """Return what the journal tells of a result."""
    told = {"text": result.text, "sources": list(result.sources), "tainted_by": list(result.tainted_by)}
    return {name: value for name, value in told.items() if value}
