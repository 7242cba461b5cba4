"""TaskOrchestrator: running tasks on threads, asking reviews on the spot, and resuming."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.store.base import BaseStore

from orchestrator.agents.supervisor import Supervisor
from orchestrator.agents.team import Team
from orchestrator.agents.worker import Worker
from orchestrator.background import is_background_loop, run_in_background
from orchestrator.budget.budget import Budget
from orchestrator.budget.limits import Limits
from orchestrator.concurrency import AWAITING
from orchestrator.errors import ConfigError
from orchestrator.events import Cancelled, ReviewAsked, RunStarted, parse_event
from orchestrator.graph.build import compile_graph
from orchestrator.graph.invocation import drop_thread, flush_thread
from orchestrator.logs import logger
from orchestrator.memory.own_embedder import MemoryIndex
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.persistence.database import Persistence
from orchestrator.planning.plan import Plan
from orchestrator.planning.sub_task import SubTask
from orchestrator.reviews.open_reviews import forget_open_reviews
from orchestrator.reviews.review import Decision, Review
from orchestrator.runs import arguments
from orchestrator.runs.arguments import Caller, OnEvent, OnReview
from orchestrator.runs.asking import Asking, ask_person, is_async
from orchestrator.runs.budgets import check_prices_of, raise_limits, raised_budget
from orchestrator.runs.callbacks import guarded, without_repeats
from orchestrator.runs.client import OrchestratorClient
from orchestrator.runs.consent.other_model import check_models
from orchestrator.runs.deletion import delete_thread
from orchestrator.runs.interventions.cancellation import CancelScope, forget_cancelled
from orchestrator.runs.journals.pauses import tell_pause
from orchestrator.runs.journals.tracing import Tracing
from orchestrator.runs.run import Run
from orchestrator.runs.streaming import Streams
from orchestrator.runs.thread_list import check_thread_id, new_thread_id
from orchestrator.runs.thread_states import Graph
from orchestrator.runs.threads.record import DELETING
from orchestrator.runs.user_config import for_graph
from orchestrator.traces.setting import Traces

_log = logger(__name__)


class TaskOrchestrator(Streams, OrchestratorClient):
    """A team, and the database with its threads.

    Args:
        supervisor: Plans and writes the answer; None for the supervisor that ships.
        workers: The workers.
        team: A whole team, instead of supervisor and workers. The orchestrator works with a copy of it.
        db: Database URL or path, or an open `Persistence`; None for a file under the user's data folder.
        checkpointer: Your own LangGraph checkpointer for the states, instead of the database.
        store: Your own LangGraph store for the shared memory, reviews, decisions and spending, instead of the database.
        index: The embedding model that searches the shared memory by meaning: `Embeddings`, a function of a list of
            texts, or a name such as `openai:text-embedding-3-small`; or LangGraph's `IndexConfig` with `embed`, `dims`
            and `fields`. None for the store's own index, where it has one.
        model: The model of every agent that has none of its own, or its name, such as `openai:gpt-4.1-mini`.
        limits: Bounds of a run; None for the team's.
        budget: What a run may spend, unless `run` gets a budget; None for the team's, and `Budget()` for no limit.
        about: JSON-plain facts that are recorded with each thread, for later resumes.
        traces: True, or the address of a collector, to send each run as OpenTelemetry spans; or an exporter for them.
            None for `ORCHESTRATOR_TRACES`.

    Attributes:
        on_begin: Called with the id of a new task's thread once the thread is durable, on the thread of the event loop.

    Raises:
        ConfigError: The team, the URL, the checkpointer, the store or the index is wrong.
        PersistenceError: The database cannot be used.
    """

    def __init__(
        self,
        supervisor: Supervisor | None = None,
        workers: Sequence[Worker] = (),
        *,
        team: Team | None = None,
        db: str | Path | Persistence | None = None,
        checkpointer: BaseCheckpointSaver[Any] | None = None,
        store: BaseStore | None = None,
        index: MemoryIndex | None = None,
        model: BaseChatModel | str | None = None,
        limits: Limits | None = None,
        budget: Budget | None = None,
        about: dict[str, Any] | None = None,
        traces: Traces | None = None,
    ) -> None:
        arguments.check_team(supervisor, workers, team, limits, budget)
        self.team = team.copy() if team is not None else Team(supervisor or Supervisor(), workers)
        if limits is not None:
            self.team.limits = limits
        if model is not None:
            self.team.use_model(model)
        if budget is not None:
            self.team.budget = budget
        self.supervisor = self.team.supervisor
        self.workers = self.team.workers
        self.about = arguments.recorded_about(about, self.team)
        self._tracing = Tracing(traces)
        self.thread_id = ""
        self.on_begin: Callable[[str], object] = lambda thread_id: None
        super().__init__(db, checkpointer=checkpointer, store=store, index=index)
        saver, store = self.persistence.checkpointer, self.persistence.store
        self.graph = compile_graph(self.team, checkpointer=saver, store=store, index=self._embedder)

    def _own_graph(self, agents: frozenset[str]) -> Graph | None:
        return self.graph if agents <= self.workers.keys() else None

    def run(
        self,
        original_task: str,
        *,
        thread_id: str | None = None,
        plan: Plan | Sequence[SubTask | Mapping[str, Any]] | None = None,
        budget: Budget | None = None,
        auto_approve: bool = False,
        afresh: bool = False,
        on_event: OnEvent | None = None,
        on_review: OnReview | None = None,
        config: RunnableConfig | None = None,
        context: Any = None,
        output_type: Any = None,
        allow_other_model: bool = False,
    ) -> Run:
        """Run a task until it is done or waits for a human.

        On a thread that has finished other tasks, the task continues their conversation, and may refer to them.

        Args:
            original_task: The task.
            thread_id: Name of the thread; None for a new name.
            plan: A plan to carry out as it is, or its sub-tasks, instead of one from the supervisor.
            budget: What the run may spend; None for the orchestrator's.
            auto_approve: Let reviews pass without a human, so that the run ends by itself. A worker that has read
                untrusted text is then refused tools that declare a risk, unless their effect stays in the workspace.
            afresh: Forget the earlier tasks of the thread with their answers and results.
            on_event: Called with each event, on the thread of the event loop.
            on_review: Called with each open review, one at a time, while the run goes on; returns a decision, or None
                to leave it open. `run` calls it on a thread of its own, `arun` awaits it or calls it on the event loop.
                If it is answered elsewhere, its method `answered_elsewhere(review, decision)` is called, if it has one.
            config: LangChain's callbacks, tags, metadata, `run_name` and `configurable`, for every model and tool.
            context: Anything for your own tools, which find it as `ToolRuntime.context`. It is never stored.
            output_type: The type of `Run.output`: any that pydantic's `TypeAdapter` takes, or a JSON schema as a dict.
            allow_other_model: Go on with another model or endpoint than earlier tasks; else `ModelChangedError`.

        Raises:
            PlanError: The supervisor made no sound plan, or `plan` is not sound.
            ConfigError: The thread's name cannot be used, or its last run is not finished.
            ModelError: The supervisor's model cannot be used. The thread can be resumed.
            ThreadBusyError: The thread is being run already.
            PersistenceError: The database failed. The thread can be resumed.
        """
        return run_in_background(
            lambda: self.arun(
                original_task,
                thread_id=thread_id,
                plan=plan,
                budget=budget,
                auto_approve=auto_approve,
                afresh=afresh,
                on_event=on_event,
                on_review=on_review,
                config=config,
                context=context,
                output_type=output_type,
                allow_other_model=allow_other_model,
            )
        )

    async def arun(
        self,
        original_task: str,
        *,
        thread_id: str | None = None,
        plan: Plan | Sequence[SubTask | Mapping[str, Any]] | None = None,
        budget: Budget | None = None,
        auto_approve: bool = False,
        afresh: bool = False,
        on_event: OnEvent | None = None,
        on_review: OnReview | None = None,
        config: RunnableConfig | None = None,
        context: Any = None,
        output_type: Any = None,
        allow_other_model: bool = False,
    ) -> Run:
        """Async twin of `run`."""
        original_task = arguments.checked_task(original_task, budget)
        caller = Caller(on_event, on_review, config, context, output_type)
        thread_id = check_thread_id(thread_id or new_thread_id(original_task))
        allowed = budget or self.team.budget
        await check_prices_of(self.team, allowed)
        given_plan = None if plan is None else self.supervisor.checked(Plan.parse(plan))
        graph_input = caller.graph_input(original_task, allowed, given_plan, auto_approve=auto_approve, afresh=afresh)
        async with self.persistence.lease_soon(thread_id):
            before = await self._threads.find(AWAITING, thread_id)
            if before is not None and before.status == DELETING:
                await delete_thread(AWAITING, self.persistence, thread_id)
            # Checked under the lease, since LangGraph has no lock. Of two processes on one thread, both ran everything,
            # and the last write won.
            snapshot = await self.graph.aget_state(self._states.config(thread_id))
            if snapshot.tasks:
                raise ConfigError(
                    f"thread '{thread_id}' has a run that is not finished: resume it, delete it, or name another thread"
                )
            if before is not None and not afresh:
                await check_models(self.team, self._threads, thread_id, self.about, is_allowed=allow_other_model)
            is_used = before is not None or bool(snapshot.values)
            also = await self._states.leave_behind(thread_id) if is_used else []
            await self._threads.begin(AWAITING, thread_id, self.about, graph_input, also, self.team.used_models())
            self.on_begin(thread_id)
            return await self._traced(thread_id, graph_input, caller)

    def resume(
        self,
        thread_id: str,
        *,
        budget: Mapping[str, Any] | Budget | None = None,
        on_event: OnEvent | None = None,
        on_review: OnReview | None = None,
        config: RunnableConfig | None = None,
        context: Any = None,
        output_type: Any = None,
        allow_other_model: bool = False,
    ) -> Run:
        """Continue a thread after a decision, an interruption or a crash. Finished sub-tasks are not run again.

        Args:
            thread_id: The thread.
            budget: New limits, as `{"tokens": 50_000}` or `Budget(tokens=50_000)`; they replace the run's own.
            on_event: As for `run`.
            on_review: As for `run`.
            config: As for `run`.
            context: As for `run`. A thread does not keep the context of the call before.
            output_type: As for `run`. The thread keeps its JSON schema; give the type again for an instance of it.
            allow_other_model: Go on although the thread ran with another model or endpoint.

        Raises:
            UnknownThreadError: There is no such thread.
            ThreadBusyError: The thread is being run already.
            ModelChangedError: The thread ran with another model or endpoint, and `allow_other_model` is not set.
            ConfigError: The thread belongs to another team, or `budget` is given and no budget ended the run.
        """
        return run_in_background(
            lambda: self.aresume(
                thread_id,
                budget=budget,
                on_event=on_event,
                on_review=on_review,
                config=config,
                context=context,
                output_type=output_type,
                allow_other_model=allow_other_model,
            )
        )

    async def aresume(
        self,
        thread_id: str,
        *,
        budget: Mapping[str, Any] | Budget | None = None,
        on_event: OnEvent | None = None,
        on_review: OnReview | None = None,
        config: RunnableConfig | None = None,
        context: Any = None,
        output_type: Any = None,
        allow_other_model: bool = False,
    ) -> Run:
        """Async twin of `resume`."""
        arguments.check_resume(budget)
        caller = Caller(on_event, on_review, config, context, output_type)
        await self._states.record(thread_id)
        async with self.persistence.lease_soon(thread_id):
            await self._states.run_of(thread_id)  # what cannot be read is one clear line, and nothing runs on it
            snapshot = await self._states.snapshot(thread_id)
            graph_input = {} if snapshot.tasks else await self._threads.unstarted_input(AWAITING, thread_id)
            if snapshot.tasks:
                await self._states.check_team(thread_id, list(self.workers))
            if snapshot.tasks or graph_input or budget:  # otherwise there is nothing to do
                await check_models(self.team, self._threads, thread_id, self.about, is_allowed=allow_other_model)
            await forget_cancelled(AWAITING, self.persistence.store, thread_id)
            if graph_input:
                # The run was killed before its first checkpoint. The snapshot may be one of an earlier task.
                if budget:
                    graph_input["budget"] = (await raised_budget(self.team, graph_input.get("budget"), budget)).plain()
                return await self._traced(thread_id, graph_input, caller)
            if budget:
                await raise_limits(self.team, self.graph, self.persistence, self._states, snapshot, budget)
                snapshot = await self.graph.aget_state(self._states.config(thread_id))
            if not snapshot.tasks:  # `next` would leave out nodes whose writes are saved and not yet applied
                return caller.typed(await self._states.with_results(await self._states.run_of(thread_id)))
            return await self._traced(thread_id, None, caller)

    async def _traced(self, thread_id: str, graph_input: dict[str, Any] | None, caller: Caller) -> Run:
        run = self._drive(thread_id, graph_input, caller)
        return await self._tracing.traced(self.persistence.store, thread_id, run)

    async def _drive(self, thread_id: str, graph_input: dict[str, Any] | None, caller: Caller) -> Run:
        """Invoke the graph until it ends, a review stays open, or it is cancelled. The caller holds the lease."""
        self.thread_id = thread_id
        on_event = without_repeats(guarded("on_event", caller.on_event))
        asking = self._asking(thread_id, caller.on_review)
        _log.info("thread %s: the run %s", thread_id, "goes on" if graph_input is None else "begins")
        self.persistence.protect_workspaces()
        try:
            if on_event is not None:
                on_event(RunStarted(graph_input is None, thread_id=thread_id))
            async with CancelScope(self.persistence, thread_id) as scope:
                run = await self._until_pause(thread_id, graph_input, caller, on_event, asking)
                await asking.close()
            if scope.order is not None:
                run = await self._states.cancelled_run_of(thread_id, scope.order)
                if on_event is not None and run.status == "interrupted":
                    on_event(Cancelled(scope.order.by, thread_id=thread_id))
        except BaseException as error:  # a run that its caller cancelled, too
            _log.info("thread %s: the run was interrupted by %s", thread_id, type(error).__name__)
            await tell_pause(self.persistence.store, thread_id, "interrupted", str(error) or type(error).__name__)
            await self._threads.mark(AWAITING, thread_id, "interrupted")
            raise
        finally:
            asking.cancel()
            drop_thread(thread_id)
        if run.is_resumable:
            why = str(scope.order) if scope.order is not None else "; ".join(run.errors)
            by = scope.order.by if scope.order is not None else ""
            reviews = [review.id for review in run.reviews]
            await tell_pause(self.persistence.store, thread_id, run.status, why, by, reviews)
        await self._threads.mark(AWAITING, thread_id, run.status, run.usage)
        _log.info("thread %s: the run is %s", thread_id, run.status)
        # Last of all: a result that cannot be read does not change how the run has ended.
        return caller.typed(await self._states.with_results(run))

    async def _until_pause(
        self, thread_id: str, value: dict[str, Any] | None, caller: Caller, on_event: OnEvent | None, asking: Asking
    ) -> Run:
        config = self._states.config(thread_id)
        while True:
            try:
                await self._invoke(value, thread_id, caller, asking.hearing(on_event))
            finally:
                # Without limits the ledger writes once a second. A resume must know all that was spent.
                await flush_thread(AWAITING, thread_id)
            # The checkpoint has the open reviews now. Rows that nobody asks any more must not be shown.
            await forget_open_reviews(AWAITING, self.persistence.store, thread_id)
            run = await self._states.run_of(thread_id, await self.graph.aget_state(config))
            for review in run.reviews:
                if asking.is_news(review) and on_event is not None:
                    on_event(ReviewAsked(review, thread_id=thread_id))
            if not await asking.settle(run.reviews):
                return run
            value = None

    async def _invoke(self, value: Any, thread_id: str, caller: Caller, on_event: OnEvent | None) -> None:
        config = for_graph(self._states.config(thread_id), caller.config)
        # LangGraph's default durability, async, would save a step while the next one runs already.
        options: Any = {"context": caller.held, "durability": "sync"}
        if on_event is None:
            await self.graph.ainvoke(value, config, **options)
            return
        async for chunk in self.graph.astream(value, config, stream_mode="custom", **options):
            if (event := parse_event(chunk)) is not None:
                on_event(event)

    def _asking(self, thread_id: str, on_review: OnReview | None) -> Asking:
        # Nobody is there to ask unless the caller or a subclass says so.
        is_asked = on_review is not None or getattr(self.request_human_review, "__func__", None) is not _LEAVE_OPEN
        ask = partial(ask_person, self._states, thread_id, on_review, self.request_human_review) if is_asked else None
        is_early = is_background_loop() or is_async(on_review)
        return Asking(self.persistence.store, thread_id, ask, is_early=is_early, on_review=on_review)

    def request_human_review(self, sub_task: SubTask, result: str, review: Review | None = None) -> Decision | None:
        """Decide on a result with `requires_approval`. Override it to ask a human on the spot.

        Args:
            sub_task: The sub-task.
            result: Its result. A long one is shortened here, and is whole in the shared memory.
            review: The open review, whose id the decision must name.

        Returns:
            The decision; None, as here, leaves the review open for `decide`.
        """
        return None

    @property
    def memory(self) -> SharedMemory:
        """Return the shared memory of the thread that was run last."""
        return self.memory_of(self.thread_id)


_LEAVE_OPEN = TaskOrchestrator.request_human_review
