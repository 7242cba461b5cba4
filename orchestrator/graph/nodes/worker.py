"""worker: one node for each worker of the team; executes one sub-task of a round.

The order of the steps in `_Execution.run` is what makes a crash at any point harmless:

1. Look into the shared memory: a sub-task whose outcome is there is not executed again.
2. Wait for the dependencies, then for a slot.
3. Execute. The agent's own steps are checkpointed by LangGraph.
4. File the result, durably. From here on the sub-task has been executed.
5. Wake those who wait, and return the outcome for the state.
"""

import time
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphBubbleUp, GraphInterrupt
from langgraph.types import Interrupt

from orchestrator.agents.assignment import Assignment, Result
from orchestrator.agents.worker import Worker
from orchestrator.budget.accounts import Account
from orchestrator.budget.allowance import Allowance
from orchestrator.budget.budget import BudgetSpentError
from orchestrator.budget.limits import Limits
from orchestrator.concurrency import Bridge, BridgedNode
from orchestrator.errors import PersistenceError
from orchestrator.events import SubTaskChanged
from orchestrator.graph.invocation import Invocation
from orchestrator.graph.round import ROUNDS, Round, Signal
from orchestrator.memory.entry import Entry, digest
from orchestrator.memory.recall import recall_index
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.model_calls.call_policy import CallPolicy
from orchestrator.model_calls.calls import ModelCalls
from orchestrator.model_calls.truncation import incomplete
from orchestrator.models.error_texts import as_model_error
from orchestrator.models.errors import is_refusal
from orchestrator.persistence.workspace import WORKSPACE_KEY, workspace_of
from orchestrator.planning.outcome import Outcome, Status
from orchestrator.planning.plan import SubTask
from orchestrator.reviews.decisions import STOPPED, ask_unless_stopped, is_stopped
from orchestrator.reviews.out_of_budget import BudgetDecision, budget_decision, pause
from orchestrator.reviews.questions import result_review
from orchestrator.text import same_text
from orchestrator.tool_calls.policy import Policy
from orchestrator.tool_calls.worker_context import Actor, Oversight, WorkerContext, session_of
from orchestrator.trust import merged


def worker(agent: Worker, limits: Limits, policy: Policy, calls: CallPolicy | None = None) -> BridgedNode:
    """The node for this worker."""

    async def execute(bridge: Bridge, payload: dict[str, Any], config: RunnableConfig) -> dict[str, Any]:
        outcome = await _Execution(bridge, agent, limits, policy, calls or CallPolicy(), payload, config).run()
        return {"outcomes": {outcome.id: outcome.plain()}}

    return BridgedNode(agent.name, execute)


class _Execution:
    """One execution of the node."""

    def __init__(
        self,
        bridge: Bridge,
        agent: Worker,
        limits: Limits,
        policy: Policy,
        call_policy: CallPolicy,
        payload: dict[str, Any],
        config: RunnableConfig,
    ) -> None:
        self.bridge = bridge
        self.agent = agent
        self.limits = limits
        self.policy = policy
        self.call_policy = call_policy
        self.payload = payload
        self.config = config
        self.sub_task = SubTask.model_validate(payload["sub_task"])
        self.key: str = payload["key"]
        self.needs: dict[str, str] = payload["needs"]
        self.memory_id: str = payload["memory_id"]
        self.auto_approve = bool(payload.get("auto_approve"))
        self.invocation = Invocation.of(config)
        place = (self.invocation.round_key(self.memory_id), payload["round"])
        self.round = ROUNDS.find(place, self.invocation.control, self._new_round)
        self.memory = self.round.memory
        self.ledger = self.invocation.ledger(bridge, self.memory_id)
        self.way: BudgetDecision = "go"
        self.began = 0.0

    def _new_round(self) -> Round:
        memory = SharedMemory(self.invocation.store, self.memory_id, index=recall_index())
        return Round(self.invocation.control, memory, self.bridge.lock(), self.limits.parallel_workers)

    async def run(self) -> Outcome:
        task_id = self.sub_task.id
        signal: Signal = "gone"
        self.round.enter(task_id)
        try:
            outcome = await self._outcome()
            signal = "succeeded" if outcome.status == "succeeded" else "failed"
            self._tell(outcome.status, outcome)
            return outcome
        except GraphBubbleUp:
            signal = "paused"
            self._tell("waiting")
            await self.ledger.flush(self.bridge)
            raise
        finally:
            self.round.leave(task_id, signal)

    def _tell(self, status: Status, outcome: Outcome | None = None) -> None:
        event = SubTaskChanged(self.sub_task.id, status, self.sub_task.attempt)
        if outcome is not None:
            event = replace(event, usage=outcome.usage, seconds=outcome.seconds, error=outcome.error)
        self.invocation.emit(event)

    async def _outcome(self) -> Outcome:
        async with cast(AbstractAsyncContextManager[None], self.round.memory_lock):
            await self.memory.load(self.bridge)
        if (entry := self.memory.seen(self.key)) is not None and entry.outcome and entry.status != "draft":
            return Outcome.model_validate(entry.outcome)
        if entry is None:
            if broken := await self._dependencies():
                return await self._file(Result(""), "skipped", error=f"needs {broken}")
            await self.round.acquire_slot(self.bridge, self.payload["rank"])
            try:
                entry_or_outcome = await self._execute()
            finally:
                self.round.release_slot()
            if isinstance(entry_or_outcome, Outcome):
                return entry_or_outcome
            entry = entry_or_outcome
        return await self._review(entry)

    async def _dependencies(self) -> str:
        """Waits until all dependencies have succeeded and returns '', or which one did not, and why.

        Raises:
            GraphInterrupt: A dependency waits for a human. This sub-task pauses too, and asks nothing.
        """
        while True:
            states = {dep: self._state_of(dep, key) for dep, key in self.needs.items()}
            if broken := next((dep for dep, state in states.items() if state == "failed"), ""):
                return f"{broken}, which did not succeed"
            waiting = [dep for dep, state in states.items() if state is None]
            if lost := next((dep for dep in waiting if dep in self.payload.get("done", ())), ""):
                return f"{lost}, whose result is not in the shared memory any more"
            if not waiting:
                if any(state in ("paused", "gone") for state in states.values()):
                    raise GraphInterrupt(())
                return ""
            await self.round.wait_for_any(self.bridge, waiting)

    def _state_of(self, dep: str, key: str) -> Signal | None:
        """Memory first: a node that finished before a crash is not run again and signals nothing."""
        entry = self.memory.seen(key)
        if entry is not None and entry.outcome and entry.status in ("final", "note"):
            return "succeeded" if entry.outcome.get("status") == "succeeded" else "failed"
        return self.round.signal_of(dep)

    async def _execute(self) -> Entry | Outcome:
        """Runs the agent; a draft when a human must see the result first, otherwise the outcome."""
        if not self.auto_approve and await is_stopped(self.bridge, self.invocation.store, self.memory_id):
            return await self._file(Result(""), "skipped", error=STOPPED, stop=True)
        await self.ledger.load(self.bridge)
        # Before the agent: it can be called only once in one execution of a node.
        self.way = await budget_decision(self.bridge, self.invocation.store, self.ledger, self.memory_id)
        if self.way == "stop":
            return await self._file(Result(""), "failed", error=STOPPED, stop=True)
        self._tell("running")
        self.began = time.monotonic()
        try:
            result = await self._carry_out()
        except (GraphBubbleUp, PersistenceError):
            raise
        except BudgetSpentError as error:
            if self.auto_approve or self.way == "finish" or not error.is_of_run:
                return await self._limited(Result(""), error)
            await self.ledger.ask(self.bridge, str(error))
            raise pause(self.ledger, self.memory_id, self.invocation.namespace) from error
        except Exception as error:  # noqa: BLE001 - a raise here would cancel the siblings that are running
            return await self._failed(error)
        if result.limit is not None:
            return await self._limited(result, result.limit)
        if result.stopped:
            return await self._file(result, "failed", error=STOPPED, stop=True)
        if result.stalled:
            return await self._file(result, "failed", error=f"it was going round in circles: {result.stalled}")
        if not result.text:
            why = f", cut off by {result.cut_off}" if result.cut_off else ""
            return await self._file(result, "failed", error=f"the agent gave an empty answer{why}")
        if self._is_same_again(result):
            why = f"it gave the same result again as in attempt {self.sub_task.attempt - 1}, in spite of the feedback"
            return await self._file(result, "failed", error=why)
        if self.sub_task.requires_approval and not self.auto_approve:
            draft = self._entry(result, self._make_outcome(result, "succeeded"), "draft")
            await self.memory.write(self.bridge, draft)
            return draft
        return await self._file(result, "succeeded")

    def _is_same_again(self, result: Result) -> bool:
        before = self.memory.seen(self.payload.get("previous", ""))
        return before is not None and bool(self.sub_task.feedback) and same_text(before.text, result.text)

    async def _carry_out(self) -> Result:
        await self.agent.prepare(self.bridge)
        allowance = Allowance(self.ledger, Account(self.agent.name, self.sub_task.id))
        calls = ModelCalls(self.bridge, allowance, self.call_policy, self.invocation.emit)
        context = WorkerContext(
            actor=Actor(self.agent.name, self.memory_id, self.sub_task.id, self.key),
            oversight=Oversight(self.invocation.store, self.policy, self.auto_approve),
            memory=self.memory,
            calls=calls,
            window=allowance.window(self.agent.window),
            workspace=self._workspace(),
            emit=self.invocation.emit,
            finishes_when_spent=self.auto_approve or self.way == "finish",
        )
        assignment = Assignment(
            sub_task=self.sub_task,
            task=task.text if (task := self.memory.seen("task")) is not None else "",
            needs=tuple(self.needs.values()),
            key=self.key,
            previous=self.payload.get("previous", ""),
            candidates=tuple(self.needs),
            tainted_by=self._shaped_by(),
        )
        return await self.agent.carry_out(self.bridge, assignment, context, self.limits, self.config)

    def _workspace(self) -> str:
        return str(self.config["configurable"].get(WORKSPACE_KEY) or workspace_of(None, self.memory_id))

    def _shaped_by(self) -> tuple[str, ...]:
        """From the second round on, what is to be done was decided by agents that may have read untrusted text."""
        if self.payload["round"] <= 1 and not self.sub_task.feedback:
            return ()
        return merged(*(entry.taint for entry in self.memory.entries()))

    async def _limited(self, result: Result, limit: BudgetSpentError) -> Outcome:
        """The attempt ended for want of budget; what it has is kept. Only the run's own limit ends the run."""
        if limit.is_of_run:
            return await self._file(result, "failed", error=f"not finished: {limit}", limit=limit.dimension)
        return await self._file(result, "failed", error=f"not finished: {limit}")

    async def _failed(self, error: Exception) -> Outcome:
        """A failure of the surroundings pauses this branch, to go on when they are mended; others are outcomes.

        So is a refusal of this one request: sent again it would be refused again, and only another plan helps.

        Raises:
            GraphInterrupt: The model cannot be reached or refuses the key.
        """
        explained = as_model_error(error)
        if explained is not None and is_refusal(error):
            return await self._file(Result(""), "failed", error=str(explained))
        if explained is not None:
            trouble = {"kind": "trouble", "sub_task_id": self.sub_task.id, "error": str(explained)}
            raise GraphInterrupt((Interrupt(value=trouble, id=f"trouble-{self.key}"),)) from error
        return await self._file(Result(""), "failed", error=f"{type(error).__name__}: {error}")

    async def _review(self, draft: Entry) -> Outcome:
        """Asks for the result's approval. The draft is durable, so the agent does not run again."""
        review = result_review(self.memory_id, self.key, self.sub_task, draft.text, draft.sources)
        decision = await ask_unless_stopped(self.bridge, self.invocation.store, review)
        made = Outcome.model_validate(draft.outcome)
        result = Result(draft.text, draft.sources, draft.taint, made.usage, made.verdict)
        if decision.action == "edit":
            edited = Result(decision.text, (*draft.sources, "human"), draft.taint, made.usage, made.verdict)
            return await self._file(edited, "succeeded", seconds=made.seconds)
        if decision.action == "reject":
            reason = f"a human rejected the result: {decision.text}"
            return await self._file(result, "failed", error=reason, rejected=decision.text)
        if decision.action == "stop":
            return await self._file(result, "failed", error=STOPPED, stop=True)
        return await self._file(result, "succeeded", seconds=made.seconds, error=made.error)

    async def _file(self, result: Result, status: Any, **about: Any) -> Outcome:
        """Makes the outcome durable; what the agent saved of its steps is of no use from here on."""
        outcome = self._make_outcome(result, status, **about)
        await self.memory.write(self.bridge, self._entry(result, outcome, "final" if status == "succeeded" else "note"))
        if self.agent.tools:
            await self.invocation.drop_steps(self.bridge)
            await self.agent.end_sub_task(self.bridge, session_of(self.memory_id, self.key))
        return outcome

    def _make_outcome(self, result: Result, status: Any, **about: Any) -> Outcome:
        seconds = round(time.monotonic() - self.began, 3) if self.began else 0.0
        return Outcome(
            id=self.sub_task.id,
            key=self.key,
            status=status,
            agent=self.agent.name,
            digest=digest(result.text),
            attempt=self.sub_task.attempt,
            verdict=result.verdict,
            usage=result.usage,
            **{"seconds": seconds, "error": incomplete(result.cut_off) if result.cut_off else "", **about},
        )

    def _entry(self, result: Result, outcome: Outcome, status: Any) -> Entry:
        return Entry(
            key=self.key,
            text=result.text,
            sub_task_id=self.sub_task.id,
            agent=self.agent.name,
            sources=result.sources,
            trusted=not result.tainted_by,
            tainted_by=result.tainted_by,
            status=status,
            outcome=outcome.plain(),
        )
