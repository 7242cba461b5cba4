"""Invocation: one execution of a node, with what the node may use of the run that it is part of.

The nodes of one invocation of the graph meet in a registry, by the key of their graph and thread, and share there one
ledger and the rounds. This module alone knows the key.
"""

import itertools
import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphInterrupt
from langgraph.runtime import get_runtime
from langgraph.store.base import BaseStore, PutOp

from orchestrator.agents.team import Team
from orchestrator.budget.accounts import Account
from orchestrator.budget.allowance import Allowance
from orchestrator.budget.budget import Budget, BudgetSpentError
from orchestrator.budget.ledger import Ledger
from orchestrator.budget.limits import Limits
from orchestrator.concurrency import BLOCKING, Bridge
from orchestrator.events import Emitter, ReviewAsked, Steered
from orchestrator.graph.registry import Registry
from orchestrator.graph.rework import Reworks
from orchestrator.graph.round import Round
from orchestrator.graph.stores import store_beside
from orchestrator.journal.fact import Fact, process_facts
from orchestrator.journal.journal import Journal
from orchestrator.logs import logger
from orchestrator.memory.own_embedder import OwnEmbedder
from orchestrator.memory.own_index import index_for
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.persistence.used_models import UsedModels, told
from orchestrator.persistence.workspace import WORKSPACE_KEY, workspace_of
from orchestrator.reviews.cancellation import BareRun
from orchestrator.reviews.decision_watch import DecisionWatch
from orchestrator.reviews.decisions import is_stopped
from orchestrator.reviews.instructions import Steering
from orchestrator.reviews.open_reviews import open_review
from orchestrator.reviews.out_of_budget import BudgetDecision, awaited_decision, budget_decision, pause
from orchestrator.reviews.parking import NO_PARKING, Parking
from orchestrator.reviews.review import Review
from orchestrator.reviews.saved.instructions import Instruction
from orchestrator.tool_calls.worker_context import Held

_log = logger(__name__)
# LangGraph 1.2 hands these to subgraphs under keys of the config, and has no public way to ask.
_CHECKPOINTER_KEY = "__pregel_checkpointer"
_RESUMING_KEY = "__pregel_resuming"
_SCRATCHPAD_KEY = "__pregel_scratchpad"
_TASK_KEY = "__pregel_task_id"
_MOST_GRAPHS = 1000  # that one attempt calls


class Shared:
    """The ledger and the rounds that the nodes of one invocation share.

    Args:
        ledger: The ledger of the run; not loaded yet.
        watch: Notices decisions while nodes wait for them.
        steering: The instructions to the run.
        bare_run: Takes orders to cancel; None for a run of `TaskOrchestrator`, which takes them itself.
    """

    def __init__(
        self, ledger: Ledger, watch: DecisionWatch, steering: Steering, bare_run: BareRun | None = None
    ) -> None:
        self.ledger = ledger
        self.watch = watch
        self.steering = steering
        self.bare_run = bare_run
        self.announced: set[str] = set()
        self.has_compared_models = False
        self.told = 0
        self.begun_round = 0
        self._rounds: dict[int, Round] = {}
        self._lock = threading.Lock()

    def round(self, number: int, create: Callable[[], Round]) -> Round:
        """Return the round of this number; create it when there is none. Never suspends."""
        with self._lock:
            if number not in self._rounds:
                self._rounds[number] = create()
            return self._rounds[number]

    def drop_rounds(self) -> None:
        """Forget the rounds that no node works in."""
        with self._lock:
            self._rounds = {number: kept for number, kept in self._rounds.items() if kept.active}

    @property
    def is_active(self) -> bool:
        """True while a node works in a round."""
        return any(each.active for each in list(self._rounds.values()))


SHARED: Registry[Shared] = Registry(most=4096, is_active=lambda shared: shared.is_active)
"""One registry a process: nodes of one invocation must meet, whichever compiled graph they belong to."""


def shared_key(namespace: str, thread_id: str) -> str:
    """Return the key under which the nodes of one graph share. A graph nested in another graph gets its own key."""
    # LangGraph 1.2: the last part of a node's namespace names its own execution, the parts before it name the graph.
    return f"{namespace.rpartition('|')[0]}|{thread_id}"


async def flush_thread(bridge: Bridge, thread_id: str) -> None:
    """Write the spending of a thread's last seconds, which the ledger holds back where nothing is limited."""
    if (shared := SHARED.get(shared_key("", thread_id))) is not None:
        await shared.ledger.flush(bridge)


def drop_thread(thread_id: str) -> None:
    """Forget what the nodes of a thread's last invocation shared."""
    SHARED.drop(shared_key("", thread_id))


def _writer(write: Any) -> Callable[[dict[str, Any]], None] | None:
    """Return a node's stream writer, or None if nobody reads the custom stream."""
    # LangGraph 1.2 does not say. Its writers for nobody are functions without a closure, and its others close over the
    # stream. Of a release that does it in another way, each writer counts as read.
    return None if getattr(write, "__closure__", ()) is None else write


def is_resumed(config: RunnableConfig) -> bool:
    """True if the graph goes on from a pause or a crash."""
    return bool(config["configurable"].get(_RESUMING_KEY))


def versioned_config(config: RunnableConfig, version: int) -> RunnableConfig:
    """Return the config for the agent of a later version of a node's sub-task, whose steps have a namespace of its own.

    LangGraph 1.2 names the graphs that a node calls by counting the calls. A node that runs again does not repeat the
    calls of earlier versions, so each version begins to count elsewhere.
    """
    scratchpad = config["configurable"].get(_SCRATCHPAD_KEY)
    if not version or scratchpad is None:
        return config
    counter = itertools.count(version * _MOST_GRAPHS)
    own = replace(scratchpad, subgraph_counter=lambda: next(counter))
    return {**config, "configurable": {**config["configurable"], _SCRATCHPAD_KEY: own}}


def described_config(config: RunnableConfig, **facts: str | int) -> RunnableConfig:
    """Return a config with facts for traces: callbacks find them in the metadata of all that is called with it."""
    return {**config, "metadata": {**(config.get("metadata") or {}), **facts}}


@dataclass(frozen=True)
class Invocation:
    """One execution of a node.

    Args:
        bridge: How to wait, call and reach stores.
        config: The node's config.
        memory_id: Names the thread's memory, decisions, ledger and reviews: the thread's id, or a random one.
        thread_id: The thread; empty when the graph runs without a checkpointer.
        store: The store of the shared memory and the decisions.
        checkpointer: The saver, if the run is saved.
        namespace: The node execution's own checkpoint namespace.
        control: LangGraph's run control, one object for each invocation of the graph.
        emit: Takes progress events for LangGraph's custom stream.
        context: What the caller gave as `context`.
        check_output: Returns what is wrong with an answer of the caller's output type; None without one.
        task_number: Number of the task on the thread, for the ids of reviews.
        is_bare: True for a graph that `TaskOrchestrator` does not run.
    """

    bridge: Bridge
    config: RunnableConfig
    memory_id: str
    thread_id: str
    store: BaseStore
    checkpointer: Any
    namespace: str
    control: object
    emit: Emitter
    context: Any
    check_output: Callable[[Any], list[str]] | None = None
    task_number: int = 1
    is_bare: bool = False

    @classmethod
    def of(cls, bridge: Bridge, config: RunnableConfig, memory_id: str = "", task_number: int = 1) -> "Invocation":
        """Read the invocation from a node's config and runtime.

        Args:
            bridge: How to wait, call and reach stores.
            config: The node's config.
            memory_id: The id in the state; empty at the beginning of a run.
            task_number: Number of the task on the thread.

        Raises:
            ConfigError: The graph is saved somewhere and was compiled without a store that is as durable.
        """
        configurable = config.get("configurable", {})
        runtime: Any = get_runtime()
        saver = configurable.get(_CHECKPOINTER_KEY)
        thread_id = str(configurable.get("thread_id") or "")
        held = runtime.context if isinstance(runtime.context, Held) else Held(runtime.context)
        return cls(
            bridge=bridge,
            config=config,
            # Without a checkpointer a graph has no thread id, and the memory still needs a name of its own.
            memory_id=memory_id or thread_id or uuid.uuid4().hex,
            thread_id=thread_id,
            store=runtime.store if runtime.store is not None else store_beside(saver, runtime.control),
            checkpointer=saver,
            namespace=str(configurable.get("checkpoint_ns") or ""),
            control=runtime.control,
            emit=Emitter(_writer(runtime.stream_writer), thread_id),
            context=held.context,
            check_output=held.check_output,
            task_number=task_number,
            is_bare=held is not runtime.context,
        )

    @cached_property  # another invocation may take the key over while this node still works
    def _shared(self) -> Shared:
        def create() -> Shared:
            tell_resumption(self)
            ledger = Ledger(Budget(), self.store, self.memory_id, self.bridge.lock())
            watch = DecisionWatch(self.store, self.memory_id)
            is_reached = self.is_bare and self.thread_id
            bare_run = BareRun(self.store, self.thread_id, self.control, ledger.flush) if is_reached else None
            return Shared(ledger, watch, Steering(self.store, self.memory_id), bare_run)

        return SHARED.find(shared_key(self.namespace, self.memory_id), self.control, create)

    @cached_property
    def journal(self) -> Journal:
        """The journal of the thread."""
        return Journal(self.store, self.memory_id)

    async def tell(self, *facts: Fact) -> None:
        """Tell facts with what this node returns; see `Journal.tell`."""
        # LangGraph 1.2 names an execution under this key, and saves what the node returns under the same name.
        task_id = str(self.config.get("configurable", {}).get(_TASK_KEY) or "")
        await self.journal.tell(self.bridge, self.checkpointer, task_id, facts)

    @property
    def can_wait(self) -> bool:
        """True if the node may wait for what comes after it in the round."""
        # Under `graph.invoke` every node has a thread of LangGraph's pool, and waiting nodes would use the pool up.
        # With `max_concurrency` they would keep other nodes from starting.
        return self.bridge is not BLOCKING and not self.config.get("max_concurrency")

    @property
    def ledger(self) -> Ledger:
        """The ledger that all nodes of this invocation share; load it before use."""
        return self._shared.ledger

    @property
    def watch(self) -> DecisionWatch:
        """The watch for decisions that all nodes of this invocation share."""
        return self._shared.watch

    async def announce(self, review: Review) -> None:
        """Let any process see and answer a review while the run goes on, and report it once."""
        if review.id in self._shared.announced:
            return
        self._shared.announced.add(review.id)  # before the writes below: several nodes may ask the same
        await open_review(self.bridge, self.store, review)
        # A human may take hours. A process that is killed meanwhile must not take the last seconds of spending along.
        await self.ledger.flush(self.bridge)
        self.emit(ReviewAsked(review))

    async def begin_instructions(self, task: str) -> list[PutOp]:
        """Return the operations that leave the instructions of earlier tasks behind; see `Steering.begin`."""
        return await self._shared.steering.begin(self.bridge, task)

    async def instructions(self) -> tuple[Instruction, ...]:
        """Return what humans have told the run so far, and emit an event for each new instruction."""
        shared = self._shared
        instructions = await shared.steering.read(self.bridge)
        for instruction in instructions:
            if instruction.number > shared.told:
                shared.told = instruction.number
                self.emit(Steered(instruction.text, instruction.by, instruction.number))
        return instructions

    def allowance(self, account: Account) -> Allowance:
        """Return the part of the budget that an account may use."""
        return Allowance(self.ledger, account)

    def round(self, number: int, limits: Limits, more_rounds: int, model: OwnEmbedder | None = None) -> Round:
        """Return a round, with one view of the shared memory for all of its workers.

        Args:
            number: Number of the round.
            limits: The bounds of the run.
            more_rounds: Rounds that a human has granted beyond them.
            model: The user's embedding model for the memory.
        """

        def create() -> Round:
            index = index_for(self.store, self.memory_id, model)
            memory, lock = SharedMemory(self.store, self.memory_id, index=index), self.bridge.lock
            reworks = Reworks(memory, number, lock(), limits.attempts, limits.rounds + more_rounds)
            is_resumed = self._shared.begun_round != number
            return Round(memory, lock(), limits.parallel_workers, reworks, is_resumed=is_resumed)

        return self._shared.round(number, create)

    def begin_round(self, number: int) -> None:
        """Note that the round begins in this invocation, so that no node of it has returned before."""
        self._shared.begun_round = number

    def drop_rounds(self) -> None:
        """Forget the finished rounds."""
        self._shared.drop_rounds()

    @cached_property
    def memory(self) -> SharedMemory:
        """The shared memory, as this node execution sees it."""
        return SharedMemory(self.store, self.memory_id)

    async def is_stopped(self) -> bool:
        """True after a human has answered any review of the run with stop."""
        return await is_stopped(self.bridge, self.store, self.memory_id)

    async def budget_decision(self, parking: Parking = NO_PARKING) -> BudgetDecision:
        """Return how to go on with the budget; see `out_of_budget.budget_decision`. Loads the ledger.

        Raises:
            GraphInterrupt: A human was asked and has not decided.
        """
        await self.ledger.load(self.bridge)
        return await budget_decision(self.bridge, self.store, self.ledger, (self.memory_id, self.task_number), parking)

    async def more_budget(self, error: BudgetSpentError, parking: Parking) -> BudgetDecision | None:
        """Ask a human for more budget, in the middle of work. Return None if the run must pause for the answer."""
        await self.ledger.ask(self.bridge, str(error))
        return await awaited_decision(self.bridge, self.store, self.ledger, (self.memory_id, self.task_number), parking)

    async def pause_for_budget(self, error: BudgetSpentError) -> GraphInterrupt:
        """Record that a human is asked about the budget, and return the pause for the node to raise."""
        await self.ledger.ask(self.bridge, str(error))
        return pause(self.ledger, (self.memory_id, self.task_number), self.namespace)

    @property
    def workspace(self) -> str:
        """The folder for the files of the thread."""
        return str(self.config["configurable"].get(WORKSPACE_KEY) or workspace_of(None, self.memory_id))


def tell_resumption(invocation: Invocation) -> None:
    """Tell the journal that the run goes on, if it does so with this node. Call it once in an invocation."""
    if is_resumed(invocation.config):
        invocation.journal.note(Fact("run_resumed", data=process_facts()))


def cancellable(invocation: Invocation) -> AbstractAsyncContextManager[object]:
    """Surround the work of a node. In a bare graph, an order to cancel ends the block.

    Raises:
        GraphDrained: An order has come.
    """
    bare_run = invocation._shared.bare_run
    return nullcontext() if bare_run is None else bare_run.node(invocation.bridge)


def warn_of_other_models(invocation: Invocation, team: Team, former: Mapping[str, Any] | None = None) -> None:
    """Log a warning, once, if the run began with other models. `TaskOrchestrator` has asked a person before.

    Args:
        invocation: The execution of a node.
        team: The team.
        former: The models of the task before; None for those with which this run began, after the ledger is loaded.
    """
    shared = invocation._shared
    if former is None and shared.has_compared_models:
        return
    shared.has_compared_models = shared.has_compared_models or former is None
    known = UsedModels.parse(shared.ledger.models if former is None else former)
    if differences := known.differences(team.used_models()) if known.agents else []:
        _log.warning("%s", told(invocation.thread_id or invocation.memory_id, differences))
