"""worker: one node for each worker of the team; executes one sub-task of a round.

The order of the steps in `_Execution.run` is what makes a crash at any point harmless:

1. Look into the shared memory: a sub-task whose outcome is there is not executed again.
2. Wait for the dependencies, then for a slot.
3. Execute. The agent's own steps are checkpointed by LangGraph.
4. Record the result, durably. From here on the sub-task has been executed.
5. Wake the nodes that wait for it.
6. Return the outcome for the state, once no verdict can send the sub-task back any more; see `graph.rework`. Until
   then, each further version of the sub-task is executed here.
"""

from contextlib import AbstractAsyncContextManager
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphBubbleUp, GraphInterrupt
from langgraph.types import Interrupt

from orchestrator.agents.assignment import Result
from orchestrator.agents.team import Team
from orchestrator.agents.worker import Worker
from orchestrator.budget.spend import Spend
from orchestrator.concurrency import Bridge
from orchestrator.errors import ConfigError
from orchestrator.graph.attempt import Attempt
from orchestrator.graph.branch import Branch
from orchestrator.graph.invocation import Invocation, cancellable, is_resumed
from orchestrator.graph.nodes.bridged_node import BridgedNode
from orchestrator.graph.output import HELD, reporting_pauses
from orchestrator.graph.payload import Payload
from orchestrator.graph.recording import Recorder
from orchestrator.graph.rework import SupersededError
from orchestrator.graph.round import Signal
from orchestrator.graph.saved.steps import drop_steps, returned_outcomes
from orchestrator.memory.entry import Entry
from orchestrator.memory.own_embedder import OwnEmbedder
from orchestrator.planning.outcome import Outcome
from orchestrator.reviews.decisions import STOPPED, ask_unless_stopped
from orchestrator.reviews.questions import result_review
from orchestrator.tool_calls.worker_context import session_of


def worker(team: Team, agent: Worker, model: OwnEmbedder | None = None) -> BridgedNode:
    """Return the node for a worker of a team.

    Args:
        team: The team.
        agent: The worker.
        model: The user's embedding model for the shared memory.
    """

    async def execute(bridge: Bridge, form: dict[str, Any], config: RunnableConfig) -> dict[str, Any]:
        payload = Payload.parse(form)
        invocation = Invocation.of(bridge, config, payload.memory_id, payload.task_number)
        async with cancellable(invocation):
            with reporting_pauses(invocation):
                outcome = await _Execution(team, agent, payload, invocation, model).run()
        return {"outcomes": {outcome.id: outcome.plain()}}

    return BridgedNode(agent.name, execute)


def _signal_of(outcome: Outcome) -> Signal:
    return "succeeded" if outcome.status == "succeeded" else "failed"


class _Execution:
    """One execution of the node."""

    def __init__(
        self, team: Team, agent: Worker, payload: Payload, invocation: Invocation, model: OwnEmbedder | None
    ) -> None:
        self._team = team
        self._agent = agent
        self._invocation = invocation
        self._round = invocation.round(payload.round, team.limits, payload.more_rounds, model)
        self._memory = self._round.memory
        self._place = self._round.reworks.enter(payload, reviews=agent.reviews)
        self._begin_version()

    def _begin_version(self) -> None:
        place, invocation = self._place, self._invocation
        self._payload = payload = place.payload
        self._recorder = Recorder(self._agent, payload, invocation, self._memory)
        self._branch = Branch(self._round, payload.rank, invocation, self._recorder, place, self._team.policy.expiry)
        self._attempt = Attempt(
            self._team, self._agent, payload, invocation, self._memory, self._recorder, self._branch
        )

    async def run(self) -> Outcome:
        """Return the outcome of the sub-task, in the version that counts in the end."""
        task_id = self._payload.sub_task.id
        signal: Signal = "gone"  # for a node that is cancelled or raises: its dependents must not wait for ever
        self._round.enter(task_id)
        try:
            await self._load()
            if self._place.version:
                self._begin_version()
            while True:
                try:
                    outcome = await self._finished()
                    signal = _signal_of(outcome)
                    if await self._is_settled(outcome):
                        return outcome
                except SupersededError:
                    await self._abandon()
                self._begin_version()
        except GraphBubbleUp:
            signal = "paused"
            raise
        finally:
            self._round.leave(task_id, signal)

    async def _load(self) -> None:
        bridge = self._invocation.bridge
        if self._invocation.can_wait:
            # LangGraph 1.2 starts all nodes of a super-step in one turn of the loop. After it, the others have entered.
            await bridge.sleep(0)
        # The lock lets the first one read the memory for the others.
        async with cast(AbstractAsyncContextManager[None], self._round.memory_lock):
            await self._memory.load(bridge)
            if self._round.is_resumed:
                await self._check_memory()
        if self._invocation.can_wait:
            self._round.reworks.restore()

    async def _finished(self) -> Outcome:
        """Return the outcome of this version.

        Raises:
            GraphBubbleUp: The node pauses the run.
            SupersededError: Another version has taken the place of this one.
        """
        try:
            outcome = await self._outcome()
        except SupersededError:
            raise
        except GraphBubbleUp:
            self._recorder.report("waiting")
            # The process may end while a human thinks, and must not take the last seconds of spending with it.
            await self._invocation.ledger.flush(self._invocation.bridge)
            await self._branch.leave_unfinished()
            raise
        self._branch.check_version()
        self._recorder.report(outcome.status, outcome)
        return outcome

    async def _is_settled(self, outcome: Outcome) -> bool:
        """Wait until no verdict can replace the outcome any more. Return False if one did.

        Raises:
            GraphInterrupt: A human is asked first. The node runs again on resume, and finds its outcome in the memory.
        """
        reworks, place, bridge = self._round.reworks, self._place, self._invocation.bridge
        reworks.finish(place, outcome)
        if not (self._invocation.can_wait and reworks.can_follow(outcome)):
            return True
        await self._round.begin_rework(bridge, self._invocation.emit)
        if place.version == self._branch.version:
            self._round.signal(outcome.id, _signal_of(outcome))
        while place.version == self._branch.version:
            if reworks.is_settled(place):
                return True
            if not await self._round.hold(bridge):
                raise self._pause()
        return False

    async def _abandon(self) -> None:
        """Take back what a version has left that another one has replaced."""
        bridge = self._invocation.bridge
        entry = self._memory.seen(self._payload.key)
        if entry is not None and entry.is_result:  # it was finished just when it was replaced
            await self._memory.write(bridge, entry.with_status("retracted"))
        if self._agent.has_steps:
            await drop_steps(self._invocation)
            session = session_of(self._invocation.memory_id, self._payload.key)
            await self._agent.end_sub_task(bridge, session)

    def _pause(self) -> GraphInterrupt:
        """Return the pause of a node that asks nothing, and runs again on every resume."""
        if not (is_resumed(self._invocation.config) and (self._place.version or self._place.state == "finished")):
            return GraphInterrupt(())
        # LangGraph 1.2 keeps the interrupt of an earlier pause until the node pauses with another one. Its question may
        # be answered by now.
        value = {"kind": HELD, "sub_task_id": self._payload.sub_task.id}
        return GraphInterrupt((Interrupt(value=value, id=f"held-{self._payload.key}"),))

    async def _outcome(self) -> Outcome:
        entry = self._memory.seen(self._payload.key)
        if entry is not None and entry.outcome and entry.status != "draft":
            return Outcome.model_validate(entry.outcome)
        if entry is not None:
            return await self._review(entry)
        if problem := await self._wait_for_dependencies():
            return await self._recorder.outcome(Result(""), "skipped", error=f"needs {problem}")
        # After the wait: if waiting nodes held all slots, the sub-tasks that they wait for could never begin.
        async with self._branch.slot():
            entry_or_outcome = await self._attempt.run()
        return entry_or_outcome if isinstance(entry_or_outcome, Outcome) else await self._review(entry_or_outcome)

    async def _wait_for_dependencies(self) -> str:
        """Wait until all dependencies have succeeded and return "", or return which one did not, and why.

        Raises:
            GraphInterrupt: A dependency waits for a human. This sub-task pauses too, and asks nothing.
        """
        while True:
            self._branch.check_version()
            signals = {dep: self._signal_of(dep, key) for dep, key in self._payload.needs.items()}
            if failed := next((dep for dep, signal in signals.items() if signal == "failed"), ""):
                return f"{failed}, which did not succeed"
            waiting = [dep for dep, signal in signals.items() if signal is None]
            if lost := next((dep for dep in waiting if dep in self._payload.done), ""):
                return f"{lost}, whose result is not in the shared memory any more"
            if not waiting:
                if any(signal in ("paused", "gone") for signal in signals.values()):
                    # Without an interrupt of its own, the node asks nothing and runs again on every resume. A normal
                    # return would finish it for this super-step, and block it until all other reviews are answered.
                    raise self._pause()
                return ""
            self._recorder.waits("dependency", waiting)
            await self._round.wait_for_any(self._invocation.bridge, waiting)

    async def _check_memory(self) -> None:
        """Refuse a shared memory without the results of nodes that have returned.

        A node that has returned does not run again in this super-step. To wait for its result would never end.

        Raises:
            ConfigError: The memory lacks one.
        """
        returned = await returned_outcomes(self._invocation)
        if lost := next((task_id for task_id, key in returned.items() if self._memory.seen(key) is None), ""):
            raise ConfigError(
                f"the result of {lost} on thread '{self._invocation.thread_id}' is not in the shared memory any more: "
                "resume the thread with the store that it was started with, as in compile_graph(team, "
                "checkpointer=…, store=…), or run its task on a new thread"
            )
        self._round.is_resumed = False

    def _signal_of(self, dep: str, key: str) -> Signal | None:
        """Return how a dependency ended, or None while it has not.

        The memory comes first: a node that finished before a crash is not run again, so it signals nothing.
        """
        entry = self._memory.seen(key)
        if entry is not None and entry.outcome and entry.status in ("final", "note"):
            return "succeeded" if entry.outcome.get("status") == "succeeded" else "failed"
        return self._round.signal_of(dep)

    async def _review(self, draft: Entry) -> Outcome:
        """Ask for the approval of a result. The draft is durable, so the agent does not run again."""
        invocation, sub_task = self._invocation, self._payload.sub_task
        key, number = self._payload.key, self._payload.task_number
        review = result_review(invocation.memory_id, key, sub_task, draft.text, draft.sources, number)
        decision = await ask_unless_stopped(invocation.bridge, invocation.store, review, self._branch)
        drafted = Outcome.model_validate(draft.outcome)
        spent = Spend.of_usage(drafted.usage)
        result = Result(draft.text, draft.sources, draft.taint, spent, drafted.verdict)
        if decision.action == "edit":
            edited = Result(decision.text, (*draft.sources, "human"), draft.taint, spent, drafted.verdict)
            return await self._recorder.outcome(edited, "succeeded", seconds=drafted.seconds)
        if decision.action == "reject":
            reason = f"a human rejected the result: {decision.text}"
            return await self._recorder.outcome(result, "failed", error=reason, rejected=decision.text)
        if decision.action == "stop":
            return await self._recorder.outcome(result, "failed", error=STOPPED, stop=True)
        return await self._recorder.outcome(result, "succeeded", seconds=drafted.seconds, error=drafted.error)
