"""ThreadStates: reading what a database holds of a thread, whichever team and program ran it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph
from langgraph.store.base import PutOp
from langgraph.types import StateSnapshot

from orchestrator.concurrency import AWAITING
from orchestrator.errors import ConfigError, PersistenceError
from orchestrator.graph.shape.wiring import reading_graph
from orchestrator.persistence.database import Persistence
from orchestrator.persistence.workspace import WORKSPACE_KEY, workspace_of
from orchestrator.reviews.instructions import leave_instructions
from orchestrator.reviews.saved.cancel_orders import CancelOrder
from orchestrator.runs.interventions.cancellation import forget_cancelled, mark_cancelled
from orchestrator.runs.run import Run
from orchestrator.runs.thread_list import ThreadList
from orchestrator.runs.threads.reading import (
    as_cancelled,
    half_deleted,
    reading_thread,
    run_of,
    shown_run,
    unknown_thread,
    with_results,
)
from orchestrator.runs.threads.record import DELETING, UNREADABLE, ThreadRecord
from orchestrator.text import sound
from orchestrator.validation import expect

Graph = CompiledStateGraph[Any, Any, Any, Any]

_RECURSION_LIMIT = 5000  # far beyond what the limits allow; theirs are the stops that a user meets


class ThreadStates:
    """The states of the threads of a database.

    Args:
        persistence: The database.
        own_graph: Returns the caller's graph if it has nodes for these workers, otherwise None.
    """

    def __init__(
        self, persistence: Persistence, own_graph: Callable[[frozenset[str]], Graph | None] = lambda _: None
    ) -> None:
        self._persistence = persistence
        self._own_graph = own_graph
        self._threads = ThreadList(persistence.store)
        self._graphs: dict[frozenset[str], Graph] = {}

    def config(self, thread_id: str) -> RunnableConfig:
        """Return the config that a graph is invoked and read with."""
        configurable = {"thread_id": thread_id, WORKSPACE_KEY: str(self.workspace_of(thread_id))}
        return {"configurable": configurable, "recursion_limit": _RECURSION_LIMIT}

    def workspace_of(self, thread_id: str) -> Path:
        """Return the folder of the thread's files, which need not exist yet."""
        return workspace_of(self._persistence.path, thread_id)

    async def records(self) -> list[ThreadRecord]:
        """Return every thread, newest first, with those that were not started by `TaskOrchestrator`."""
        self._persistence.check_loop()
        listed = await self._threads.all(AWAITING)
        known = {record.id for record in listed}
        others = [await self._unlisted(i) for i in self._persistence.thread_ids() if i not in known]
        return sorted([*listed, *others], key=lambda record: -record.created)

    async def find(self, thread_id: str) -> ThreadRecord | None:
        """Return the record of a thread, or None if there is no such thread."""
        if sound(thread_id) != thread_id:
            return None  # a name that no store can hold
        self._persistence.check_loop()
        record = await self._threads.find(AWAITING, thread_id)
        if record is None and await self._persistence.has_thread(thread_id):
            return await self._unlisted(thread_id)
        return record

    async def record(self, thread_id: str) -> ThreadRecord:
        """Return the record of a thread.

        Raises:
            UnknownThreadError: There is no such thread, or a process was killed while it deleted the thread.
            ConfigError: It is not an id.
        """
        expect(str, thread_id, "the thread", "a thread's id, such as run.thread_id")
        record = await self.find(thread_id)
        if record is not None and record.status == DELETING:
            raise half_deleted(thread_id)
        if record is None:
            raise unknown_thread(thread_id, self._persistence.where)
        return record

    async def agents_of(self, thread_id: str) -> frozenset[str]:
        """Return the workers of a thread's plan."""
        # Read without a graph: these names decide which graph can read the rest.
        saved = await self._persistence.checkpointer.aget_tuple(self.config(thread_id))
        if saved is None:
            return frozenset()
        with reading_thread(thread_id):
            saved.metadata["step"]  # LangGraph reads it when it resumes, and fails without a word about the thread
            plan = saved.checkpoint["channel_values"].get("plan") or {}
            return frozenset(task["target_agent"] for task in plan.get("sub_tasks", ()))

    async def check_team(self, thread_id: str, workers: Sequence[str]) -> None:
        """Refuse a team that lacks a worker of a thread's plan.

        Raises:
            ConfigError: It lacks one.
        """
        # LangGraph drops sends to nodes that a graph lacks. The sub-tasks would never run, without any error.
        if strangers := await self.agents_of(thread_id) - set(workers):
            raise ConfigError(
                f"thread '{thread_id}' has work for {', '.join(sorted(strangers))}, and this team is "
                f"{', '.join(workers)}: resume it with the team that it was started with"
            )

    async def snapshot(self, thread_id: str) -> StateSnapshot:
        """Return the newest state of a thread, open reviews included."""
        agents = await self.agents_of(thread_id)
        graph = self._own_graph(agents) or self._stand_in(agents)
        return await graph.aget_state(self.config(thread_id))

    async def run_of(self, thread_id: str, snapshot: StateSnapshot | None = None) -> Run:
        """Return a thread's state as a person sees it, without its results.

        Args:
            thread_id: The thread.
            snapshot: Its newest state, where the caller has it already.
        """

        async def newest() -> StateSnapshot:
            return snapshot or await self.snapshot(thread_id)

        with reading_thread(thread_id):
            return await run_of(self._persistence.store, thread_id, newest, self.workspace_of(thread_id))

    async def with_results(self, run: Run) -> Run:
        """Return the run with the whole results of its sub-tasks; see `runs.threads.reading`."""
        with reading_thread(run.thread_id):
            return await with_results(self._persistence.store, run)

    async def shown_run_of(self, thread_id: str, *, results: bool = True) -> Run:
        """Return a thread's state with its results, and say so if an order ended its last run.

        Args:
            thread_id: The thread.
            results: False to leave the results out.
        """
        newest = partial(self.snapshot, thread_id)
        return await shown_run(
            self._persistence.store, thread_id, newest, self.workspace_of(thread_id), results=results
        )

    async def cancelled_run_of(self, thread_id: str, order: CancelOrder) -> Run:
        """Return the state of a thread whose run has just ended by an order, and record that it did."""
        run = as_cancelled(await self.run_of(thread_id), order)
        if run.status == "interrupted":  # otherwise the run had ended at the same moment
            await mark_cancelled(AWAITING, self._persistence.store, thread_id, order)
        return run

    async def leave_behind(self, thread_id: str) -> list[PutOp]:
        """Return the operations after which no order or instruction to an earlier run is for the next task."""
        store = self._persistence.store
        await forget_cancelled(AWAITING, store, thread_id)
        return await leave_instructions(AWAITING, store, thread_id)

    async def _unlisted(self, thread_id: str) -> ThreadRecord:
        """Build the record of a thread that was not started by `TaskOrchestrator` (for example in Studio)."""
        try:
            with reading_thread(thread_id):
                snapshot = await self.snapshot(thread_id)
            run = await self.run_of(thread_id, snapshot)
        except PersistenceError as error:
            return ThreadRecord(thread_id, str(error), UNREADABLE, 0.0, 0.0)
        seconds = datetime.fromisoformat(snapshot.created_at).timestamp() if snapshot.created_at else 0.0
        return ThreadRecord(thread_id, run.task, run.status, seconds, seconds)

    def _stand_in(self, agents: frozenset[str]) -> Graph:
        """Return a graph that can read the state of a thread with these workers, and run nothing."""
        if (graph := self._graphs.get(agents)) is None:
            saver, store = self._persistence.checkpointer, self._persistence.store
            graph = self._graphs[agents] = reading_graph(agents or {"worker"}, saver, store)
        return graph
