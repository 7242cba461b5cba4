"""OrchestratorClient: what can be asked, decided and deleted about the threads of a database without running them."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import StateSnapshot
from pydantic import ValidationError

from orchestrator.agents.supervisor import Supervisor
from orchestrator.agents.team import Team
from orchestrator.agents.worker import Worker
from orchestrator.budget.ledger_store import BUDGET_ROW, forget_ledger, read_rows
from orchestrator.budget.spending import Spending
from orchestrator.concurrency import AWAITING, run_in_background
from orchestrator.errors import DecisionError, UnknownThreadError
from orchestrator.graph.build import compile_graph
from orchestrator.memory.recall import recall_index
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.persistence.database import Persistence
from orchestrator.persistence.workspace import WORKSPACE_KEY, artifacts_in, delete_workspace, workspace_of
from orchestrator.reviews.decisions import record_decision, recorded_decision
from orchestrator.reviews.review import Action, Decision, Review
from orchestrator.runs.run import Run
from orchestrator.runs.thread_list import ThreadList, ThreadRecord
from orchestrator.text import sound

_RECURSION_LIMIT = 5000  # far beyond what the limits allow; theirs are the stops that a user meets
_Graph = CompiledStateGraph[Any, Any, Any, Any]


class OrchestratorClient:
    """The threads of a database.

    Args:
        persistence: The database.
    """

    def __init__(self, persistence: Persistence) -> None:
        self.persistence = persistence
        self._threads = ThreadList(persistence.store)
        self._graphs: dict[frozenset[str], _Graph] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the database."""
        self.persistence.close()

    def reviews(self, thread_id: str | None = None) -> list[Review]:
        """The open reviews of one thread, or of all.

        Raises:
            UnknownThreadError: There is no such thread.
        """
        return run_in_background(lambda: self.areviews(thread_id))

    async def areviews(self, thread_id: str | None = None) -> list[Review]:
        """Async twin of `reviews`."""
        if thread_id is not None:
            await self._record(thread_id)
            return [r for r in (await self._run_of(thread_id)).reviews if not await self._is_answered(r)]
        records = await self.athreads()
        runs = [await self._run_of(r.id) for r in records if r.status in ("waiting", "running", "interrupted")]
        return [review for run in runs for review in run.reviews if not await self._is_answered(review)]

    async def _is_answered(self, review: Review) -> bool:
        return await recorded_decision(AWAITING, self.persistence.store, review) is not None

    def decide(
        self, review_id: str, action: Action, text: str = "", data: dict[str, Any] | list[Any] | None = None
    ) -> Decision:
        """Answers a review, from any process; `resume` then goes on with the thread.

        Args:
            review_id: The review.
            action: One of those that it allows.
            text: See `Decision`.
            data: See `Decision`.

        Raises:
            DecisionError: The review is not open, or this does not answer it.
        """
        return run_in_background(lambda: self.adecide(review_id, action, text, data))

    async def adecide(
        self, review_id: str, action: Action, text: str = "", data: dict[str, Any] | list[Any] | None = None
    ) -> Decision:
        """Async twin of `decide`."""
        thread_id = review_id.rpartition("/")[0]
        if not thread_id or await self._found(thread_id) is None:
            raise DecisionError(f"there is no review '{review_id}': `orchestrator reviews` lists the open ones")
        open_reviews = {review.id: review for review in (await self._run_of(thread_id)).reviews}
        if (review := open_reviews.get(review_id)) is None:
            listed = ", ".join(open_reviews) or "none"
            raise DecisionError(f"review '{review_id}' is not open; open on this thread: {listed}")
        try:
            decision = Decision(review_id=review_id, action=action, text=sound(text), data=data)
        except ValidationError as error:
            problems = "; ".join(f"{one['loc'][0]}: {one['msg']}, not {one['input']!r}" for one in error.errors())
            raise DecisionError(f"this is no decision: {problems}") from error
        await record_decision(AWAITING, self.persistence.store, review, decision)
        return decision

    def show(self, thread_id: str) -> Run:
        """How far a thread came.

        Raises:
            UnknownThreadError: There is no such thread.
        """
        return run_in_background(lambda: self.ashow(thread_id))

    async def ashow(self, thread_id: str) -> Run:
        """Async twin of `show`."""
        await self._record(thread_id)
        run = await self._run_of(thread_id)
        return replace(run, status="running", errors=()) if self.persistence.is_leased(thread_id) else run

    def threads(self) -> list[ThreadRecord]:
        """Every thread of the database, newest first; those of a LangGraph server too."""
        return run_in_background(self.athreads)

    async def athreads(self) -> list[ThreadRecord]:
        """Async twin of `threads`."""
        listed = await self._threads.all(AWAITING)
        known = {record.id for record in listed}
        others = [await self._unlisted(i) for i in self.persistence.thread_ids() if i not in known]
        return sorted([*listed, *others], key=lambda record: -record.created)

    def delete(self, thread_id: str) -> None:
        """Deletes a thread with all that belongs to it.

        Raises:
            UnknownThreadError: There is no such thread.
            ThreadBusyError: Somebody runs it.
        """
        run_in_background(lambda: self.adelete(thread_id))

    async def adelete(self, thread_id: str) -> None:
        """Async twin of `delete`."""
        await self._record(thread_id)
        with self.persistence.lease(thread_id):
            await self.persistence.checkpointer.adelete_thread(thread_id)
            await forget_ledger(AWAITING, self.persistence.store, thread_id)
            await self._threads.delete(AWAITING, thread_id)
            delete_workspace(self.workspace_of(thread_id))
            self.persistence.forget(thread_id)

    def memory_of(self, thread_id: str) -> SharedMemory:
        """The shared memory of a thread."""
        return SharedMemory(self.persistence.store, thread_id, index=recall_index())

    def workspace_of(self, thread_id: str) -> Path:
        """The folder in which the thread's workers leave their files; it need not be there yet."""
        return workspace_of(self.persistence.path, thread_id)

    async def _unlisted(self, thread_id: str) -> ThreadRecord:
        """The record of a thread that was begun past this interface, as Studio does; read from its checkpoints."""
        snapshot = await self._snapshot(thread_id)
        run = await self._run_of(thread_id, snapshot)
        seconds = datetime.fromisoformat(snapshot.created_at).timestamp() if snapshot.created_at else 0.0
        return ThreadRecord(thread_id, run.task, run.status, seconds, seconds)

    async def _found(self, thread_id: str) -> ThreadRecord | None:
        record = await self._threads.find(AWAITING, thread_id)
        if record is None and self.persistence.has_thread(thread_id):
            return await self._unlisted(thread_id)
        return record

    async def _record(self, thread_id: str) -> ThreadRecord:
        if (record := await self._found(thread_id)) is None:
            raise UnknownThreadError(
                f"there is no thread '{thread_id}' in {self.persistence.where}: `orchestrator threads` lists them"
            )
        return record

    def _config(self, thread_id: str) -> RunnableConfig:
        configurable = {"thread_id": thread_id, WORKSPACE_KEY: str(self.workspace_of(thread_id))}
        return {"configurable": configurable, "recursion_limit": _RECURSION_LIMIT}

    async def _agents_of(self, thread_id: str) -> frozenset[str]:
        """The workers of a thread's plan."""
        saved = await self.persistence.checkpointer.aget_tuple(self._config(thread_id))
        plan = (saved.checkpoint["channel_values"].get("plan") if saved is not None else None) or {}
        return frozenset(task["target_agent"] for task in plan.get("sub_tasks", ()))

    def _graph_of(self, agents: frozenset[str]) -> _Graph:
        """A graph by which the state of a thread with these workers can be read, open reviews included."""
        if (graph := self._graphs.get(agents)) is None:
            # LangGraph leaves out what is sent to a node that a graph lacks, so a team lends it the names.
            team = Team(Supervisor(), [Worker(name, "looks on") for name in sorted(agents or {"worker"})])
            saver, store = self.persistence.checkpointer, self.persistence.store
            graph = self._graphs[agents] = compile_graph(team, checkpointer=saver, store=store)
        return graph

    async def _snapshot(self, thread_id: str) -> StateSnapshot:
        """The newest state of a thread, whichever team it belongs to."""
        return await self._graph_of(await self._agents_of(thread_id)).aget_state(self._config(thread_id))

    async def _run_of(self, thread_id: str, snapshot: StateSnapshot | None = None) -> Run:
        snapshot = snapshot or await self._snapshot(thread_id)
        rows = await read_rows(AWAITING, self.persistence.store, thread_id)
        rows.pop(BUDGET_ROW, None)
        return Run.from_snapshot(
            thread_id, snapshot, artifacts_in(self.workspace_of(thread_id)), Spending.of_rows(rows)
        )
