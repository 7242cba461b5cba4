"""OrchestratorClient: looking at threads, answering their reviews and deleting them, without running anything."""

from pathlib import Path
from typing import Any, Self

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.store.base import BaseStore

from orchestrator.background import run_in_background
from orchestrator.concurrency import AWAITING
from orchestrator.errors import DecisionError, PersistenceError
from orchestrator.logs import logger
from orchestrator.memory.own_embedder import MemoryIndex, OwnEmbedder
from orchestrator.memory.own_index import index_for
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.persistence.database import Persistence, open_database
from orchestrator.reviews.decisions import record_decision
from orchestrator.reviews.review import Action, Data, Decision, Review
from orchestrator.runs.deletion import delete_thread
from orchestrator.runs.interventions.interventions import Interventions, user_name
from orchestrator.runs.journals.journals import Journals
from orchestrator.runs.journals.reports import Reports
from orchestrator.runs.journals.tracing import Tracing
from orchestrator.runs.run import Run
from orchestrator.runs.thread_list import ThreadList
from orchestrator.runs.thread_states import Graph, ThreadStates
from orchestrator.runs.threads.reading import as_told, unanswered
from orchestrator.runs.threads.record import MAY_WAIT, ThreadRecord
from orchestrator.text import sound
from orchestrator.validation import expect

_log = logger(__name__)


class OrchestratorClient(Journals, Reports, Interventions):
    """The threads of a database.

    Args:
        persistence: The database: open, or its path or URL; None for the one under the user's data folder.
        checkpointer: As for `TaskOrchestrator`.
        store: As for `TaskOrchestrator`.
        index: As for `TaskOrchestrator`.

    Raises:
        ConfigError: The URL, the checkpointer, the store or the index is wrong.
    """

    _tracing = Tracing(False)  # a client runs nothing

    def __init__(
        self,
        persistence: str | Path | Persistence | None = None,
        *,
        checkpointer: BaseCheckpointSaver[Any] | None = None,
        store: BaseStore | None = None,
        index: MemoryIndex | None = None,
    ) -> None:
        self._embedder = OwnEmbedder.of(index)
        self.persistence = open_database(persistence, checkpointer, store)
        self._threads = ThreadList(self.persistence.store)
        self._states = ThreadStates(self.persistence, self._own_graph)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database. Traces that are on their way are waited for, for three seconds at most."""
        self._tracing.flush()
        self.persistence.close()

    def reviews(self, thread_id: str | None = None) -> list[Review]:
        """Return the open reviews of one thread, or of all.

        Raises:
            UnknownThreadError: There is no such thread.
        """
        return run_in_background(lambda: self.areviews(thread_id))

    async def areviews(self, thread_id: str | None = None) -> list[Review]:
        """Async twin of `reviews`."""
        if thread_id is not None:
            await self._states.record(thread_id)
            return await unanswered(self.persistence.store, (await self._states.run_of(thread_id)).reviews)
        records = await self.athreads()
        names = [record.id for record in records if record.status in MAY_WAIT]
        return [review for name in names for review in await self._open_reviews(name)]

    async def _open_reviews(self, thread_id: str) -> list[Review]:
        """Return the open reviews of a thread; one that cannot be read is told of and hides no other."""
        try:
            run = await self._states.run_of(thread_id)
            return await unanswered(self.persistence.store, run.reviews)
        except PersistenceError as error:
            _log.warning("%s", error)
            return []

    def decide(
        self, review_id: str | Review, action: Action, text: str = "", data: Data | None = None, *, by: str = ""
    ) -> Decision:
        """Answer a review, from any process. `resume` then continues the thread.

        Args:
            review_id: The review, or its id.
            action: One of the review's allowed actions.
            text: Feedback or a new text, see `Decision`.
            data: New data, see `Decision`.
            by: The name of the user who decides; empty for the user of this process.

        Raises:
            DecisionError: The review is not open, or the decision does not answer it.
        """
        return run_in_background(lambda: self.adecide(review_id, action, text, data, by=by))

    async def adecide(
        self, review_id: str | Review, action: Action, text: str = "", data: Data | None = None, *, by: str = ""
    ) -> Decision:
        """Async twin of `decide`."""
        if isinstance(review_id, Review):
            review_id = review_id.id
        expect(str, review_id, "the review", "a review or its id, as in run.reviews[0].id")
        review_id = sound(review_id)
        thread_id = review_id.rpartition("/")[0]  # the name of a thread may hold slashes too
        if not thread_id or await self._states.find(thread_id) is None:
            raise DecisionError(f"there is no review '{review_id}': `orchestrator reviews` lists the open ones")
        open_reviews = {review.id: review for review in (await self._states.run_of(thread_id)).reviews}
        if (review := open_reviews.get(review_id)) is None:
            listed = ", ".join(open_reviews) or "none"
            raise DecisionError(f"review '{review_id}' is not open; open on this thread: {listed}")
        expect(str, text, "text", "a text")
        decision = Decision(review_id=review_id, action=action, text=text, data=data, by=by or user_name())
        await record_decision(AWAITING, self.persistence.store, review, decision)
        return decision

    def show(self, thread_id: str, *, results: bool = True) -> Run:
        """Return the state of a thread.

        Args:
            thread_id: The thread.
            results: False to leave `Run.results` empty, which is several times faster for a thread of many sub-tasks.

        Raises:
            UnknownThreadError: There is no such thread.
        """
        return run_in_background(lambda: self.ashow(thread_id, results=results))

    async def ashow(self, thread_id: str, *, results: bool = True) -> Run:
        """Async twin of `show`."""
        record = await self._states.record(thread_id)
        run = await self._states.shown_run_of(thread_id, results=results)
        return as_told(run, record, is_running=self.persistence.is_leased(thread_id))

    def threads(self) -> list[ThreadRecord]:
        """Return every thread of the database, newest first, with those of a LangGraph server."""
        return run_in_background(self.athreads)

    async def athreads(self) -> list[ThreadRecord]:
        """Async twin of `threads`."""
        return await self._states.records()

    def delete(self, thread_id: str) -> None:
        """Delete a thread with its state, memory, decisions and files.

        Raises:
            UnknownThreadError: There is no such thread.
            ThreadBusyError: The thread is being run.
        """
        run_in_background(lambda: self.adelete(thread_id))

    async def adelete(self, thread_id: str) -> None:
        """Async twin of `delete`."""
        if await self._states.find(thread_id) is None:
            await self._states.record(thread_id)
        # A run that goes on would write its rows again after they are deleted.
        async with self.persistence.lease_soon(thread_id):
            await delete_thread(AWAITING, self.persistence, thread_id)
            self.persistence.forget(thread_id)

    def has_thread(self, thread_id: str) -> bool:
        """True if there is something of a thread, be it half deleted or unreadable."""
        return run_in_background(lambda: self._states.find(thread_id)) is not None

    def memory_of(self, thread_id: str) -> SharedMemory:
        """Return the shared memory of a thread."""
        store = self.persistence.store
        return SharedMemory(store, thread_id, index=index_for(store, thread_id, self._embedder))

    def workspace_of(self, thread_id: str) -> Path:
        """Return the folder of the files that the thread's workers leave. It need not exist yet."""
        return self._states.workspace_of(thread_id)

    def _own_graph(self, agents: frozenset[str]) -> Graph | None:
        """Return this object's own graph if it has nodes for these workers. A client has none."""
        return None
