"""ThreadStates: reading what a database holds of a thread, whichever team and program ran it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph
from langgraph.store.base import BaseStore, GetOp, Item, PutOp
from langgraph.types import StateSnapshot

from orchestrator.budget.ledger_store import BUDGET_ROW, read_rows
from orchestrator.budget.spending import Spending
from orchestrator.concurrency import AWAITING
from orchestrator.errors import ConfigError, PersistenceError, PlanError, UnknownThreadError
from orchestrator.graph.rework import note_key, reworked, reworks_in
from orchestrator.graph.shape.wiring import reading_graph
from orchestrator.memory.conversation import read_turns
from orchestrator.memory.entry import Entry
from orchestrator.persistence.damage import UNREADABLE_ERRORS, unreadable_thread
from orchestrator.persistence.database import Persistence
from orchestrator.persistence.namespaces import namespace
from orchestrator.persistence.used_models import UsedModels
from orchestrator.persistence.workspace import WORKSPACE_KEY, artifacts_in, workspace_of
from orchestrator.planning.plan import Plan
from orchestrator.reports.results import read_results
from orchestrator.reviews.cancellation import CancelOrder
from orchestrator.reviews.instructions import instructions_of, leave_instructions
from orchestrator.reviews.open_reviews import open_reviews
from orchestrator.runs.interventions.cancellation import (
    as_cancelled,
    forget_cancelled,
    last_cancelled,
    mark_cancelled,
)
from orchestrator.runs.run import Run
from orchestrator.runs.thread_list import ThreadList
from orchestrator.runs.threads.record import DELETING, UNREADABLE, ThreadRecord
from orchestrator.text import sound
from orchestrator.validation import expect

Graph = CompiledStateGraph[Any, Any, Any, Any]

_RECURSION_LIMIT = 5000  # far beyond what the limits allow; theirs are the stops that a user meets


@contextmanager
def reading_thread(thread_id: str) -> Iterator[None]:
    """Tell of rows of another shape in one line that names their thread, so that it can be deleted.

    Raises:
        PersistenceError: What is stored of the thread cannot be read.
    """
    try:
        yield
    except (PlanError, *UNREADABLE_ERRORS) as error:
        raise unreadable_thread(thread_id, error) from error


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
            raise UnknownThreadError(
                f"thread '{thread_id}' was being deleted when its process ended: delete it again, or use its name anew"
            )
        if record is None:
            name = sound(thread_id)
            raise UnknownThreadError(
                f"there is no thread '{name}' in {self._persistence.where}: `orchestrator threads` lists them"
            )
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
        store = self._persistence.store
        with reading_thread(thread_id):
            # A run that pauses saves its reviews with the state and then deletes their rows: read the other way round,
            # a review could be missed in both places.
            waiting = await open_reviews(AWAITING, store, thread_id)
            snapshot = snapshot or await self.snapshot(thread_id)
            rows = await read_rows(AWAITING, store, thread_id)
            begun = rows.pop(BUDGET_ROW, {})  # it holds the limits and no amounts
            former = snapshot.values.get("turn", 1) - 1
            if snapshot.tasks:
                snapshot = snapshot._replace(values=await _with_round_progress(store, snapshot.values))
            turns = await read_turns(AWAITING, store, thread_id, former) if former else ()
            artifacts = artifacts_in(self.workspace_of(thread_id))
            run = Run.from_snapshot(thread_id, snapshot, artifacts, Spending.of_rows(rows), turns, waiting)
            instructions = await instructions_of(AWAITING, store, thread_id)
            return replace(run, instructions=instructions, models=UsedModels.parse(begun.get("models")).plain())

    async def with_results(self, run: Run) -> Run:
        """Return the run with the whole results of its sub-tasks.

        They take a look at the journal, which most readers of a run do without.
        """
        if not run.outcomes:
            return run
        thread_id, store = run.thread_id, self._persistence.store
        with reading_thread(thread_id):
            return replace(run, results=await read_results(AWAITING, store, thread_id, run.outcomes))

    async def shown_run_of(self, thread_id: str) -> Run:
        """Return a thread's state with its results, and say so if an order ended its last run."""
        run = await self.with_results(await self.run_of(thread_id))
        order = await last_cancelled(AWAITING, self._persistence.store, thread_id)
        return run if order is None else as_cancelled(run, order)

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


async def _with_round_progress(store: BaseStore, values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a thread's state with the plan and the outcomes of a round that has not ended.

    A node whose sub-task may still be sent back has not returned, so its finished outcome is in the shared memory only.
    Neither does the plan in the state have the attempts that a verdict has led to within the round.

    Args:
        store: Holds the shared memory.
        values: The values of the state.
    """
    if values.get("phase") != "work" or not values.get("plan"):
        return values
    memory_id = values["memory_id"]
    [note] = await _entries(store, memory_id, [note_key(values.get("round", 0))])
    reworks, outcomes = reworks_in(note), values.get("outcomes") or {}
    plan = reworked(Plan.parse(values["plan"]), reworks)
    keys = [key for task_id, key in plan.keys.items() if outcomes.get(task_id, {}).get("key") != key]
    entries = [entry for entry in await _entries(store, memory_id, keys) if entry is not None]
    finished = {e.sub_task_id: e.outcome for e in entries if e.outcome and e.status in ("final", "note")}
    if not reworks and not finished:
        return values
    return {**values, "plan": plan.plain(), "outcomes": {**outcomes, **finished}}


async def _entries(store: BaseStore, memory_id: str, keys: list[str]) -> list[Entry | None]:
    place = namespace(memory_id, "memory")
    rows = cast("list[Item | None]", await AWAITING.batch(store, [GetOp(place, key) for key in keys])) if keys else []
    return [None if row is None else Entry.parse(row.key, row.value) for row in rows]
