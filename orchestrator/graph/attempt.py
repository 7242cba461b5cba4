"""Attempt: one try at a sub-task by the agent of its worker, and what the try ended with."""

from langgraph.errors import GraphBubbleUp, GraphInterrupt
from langgraph.types import Interrupt

from orchestrator.agents.assignment import Assignment, Result
from orchestrator.agents.team import Team
from orchestrator.agents.worker import Worker
from orchestrator.budget.accounts import Account
from orchestrator.budget.budget import BudgetSpentError
from orchestrator.errors import PersistenceError, WorkerError
from orchestrator.graph.branch import Branch
from orchestrator.graph.invocation import Invocation, described_config, versioned_config, warn_of_other_models
from orchestrator.graph.payload import Payload
from orchestrator.graph.recording import Recorder
from orchestrator.memory.conversation import Conversation
from orchestrator.memory.entry import Entry
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.model_calls.calls import ModelCalls
from orchestrator.models.error_texts import as_model_error
from orchestrator.models.errors import is_refusal
from orchestrator.planning.outcome import Outcome
from orchestrator.redaction import redact
from orchestrator.reviews.decisions import STOPPED
from orchestrator.reviews.out_of_budget import BudgetDecision
from orchestrator.reviews.saved.instructions import Instruction
from orchestrator.text import same_text, sound
from orchestrator.tool_calls.worker_context import Actor, Oversight, WorkerContext
from orchestrator.trust import merged


class Attempt:
    """One try at a sub-task.

    Args:
        team: The team.
        agent: The worker.
        payload: The sub-task.
        invocation: The node's execution.
        memory: The round's view of the shared memory.
        recorder: Records what the try ends with.
        branch: Waits for a human while other sub-tasks of the round work, and knows if this version still counts.
    """

    def __init__(
        self,
        team: Team,
        agent: Worker,
        payload: Payload,
        invocation: Invocation,
        memory: SharedMemory,
        recorder: Recorder,
        branch: Branch,
    ) -> None:
        self._team = team
        self._agent = agent
        self._payload = payload
        self._invocation = invocation
        self._memory = memory
        self._recorder = recorder
        self._branch = branch

    async def run(self) -> Entry | Outcome:
        """Run the agent. Return a draft when a human must see the result first, otherwise the outcome.

        Raises:
            GraphInterrupt: A human must decide, or the model cannot be reached.
        """
        record, auto_approve = self._recorder.outcome, self._payload.auto_approve
        if not auto_approve and await self._invocation.is_stopped():
            return await record(Result(""), "skipped", error=STOPPED, stop=True)
        # Asked before the agent runs: one execution of a node can call its agent only once.
        decision = await self._invocation.budget_decision(self._branch)
        warn_of_other_models(self._invocation, self._team)
        if decision == "stop":
            return await record(Result(""), "failed", error=STOPPED, stop=True)
        finishes_when_spent = auto_approve or decision == "finish"
        self._recorder.begin()
        try:
            result = await self._run_agent(finishes_when_spent)
        except (GraphBubbleUp, PersistenceError):
            raise  # a database that fails could not record an outcome either; the run is interrupted and can be resumed
        except BudgetSpentError as error:
            if finishes_when_spent or not error.is_of_run:
                return await self._limited(Result(""), error)
            raise await self._invocation.pause_for_budget(error) from error
        except Exception as error:  # noqa: BLE001 - a raise here would cancel the siblings that are running
            return await self._failed(error)
        if result.limit is not None:
            return await self._limited(result, result.limit)
        if result.stopped:
            return await record(result, "failed", error=STOPPED, stop=True)
        if problem := self._problem(result):
            return await record(result, "failed", error=problem)
        if self._payload.sub_task.requires_approval and not auto_approve:
            return await self._recorder.draft(result)
        return await record(result, "succeeded")

    async def _run_agent(self, finishes_when_spent: bool) -> Result:
        agent, payload, invocation = self._agent, self._payload, self._invocation
        await agent.prepare(invocation.bridge)  # the allowance below asks the model for its window
        allowance = invocation.allowance(Account(agent.name, payload.sub_task.id))
        context = WorkerContext(
            actor=Actor(agent.name, invocation.memory_id, payload.sub_task.id, payload.key, payload.task_number),
            oversight=Oversight(invocation.store, self._team.policy, payload.auto_approve, parking=self._branch),
            memory=self._memory,
            calls=ModelCalls(invocation.bridge, allowance, self._team.calls, invocation.emit, payload.sub_task.attempt),
            window=allowance.window(agent.window),
            workspace=invocation.workspace,
            emit=invocation.emit,
            users=invocation.context,
            instructions=self._instructions,
            finishes_when_spent=finishes_when_spent,
            more_budget=self._more_budget,
        )
        task = self._memory.seen("task")
        assignment = Assignment(
            sub_task=payload.sub_task,
            task=task.text if task is not None else "",
            needs=tuple(payload.needs.values()),
            key=payload.key,
            previous=payload.previous,
            candidates=tuple(payload.needs),
            tainted_by=self._taint(),
            instructions=await invocation.instructions(),
        )
        facts: dict[str, str | int] = {"sub_task_id": payload.sub_task.id, "attempt": payload.sub_task.attempt}
        config = described_config(invocation.config, agent=agent.name, round=payload.round, **facts)
        config = versioned_config(config, self._branch.version)
        return await agent.carry_out(invocation.bridge, assignment, context, self._team.limits, config)

    async def _instructions(self) -> tuple[Instruction, ...]:
        # Asked for before each model call. A version that another one has replaced ends there, or at a tool call.
        self._branch.check_version()
        return await self._invocation.instructions()

    async def _more_budget(self, error: BudgetSpentError) -> BudgetDecision | None:
        return await self._invocation.more_budget(error, self._branch)

    def _taint(self) -> tuple[str, ...]:
        """Return the untrusted sources of the sub-task itself."""
        # From the second round on, agents that may have read untrusted text have decided what is to be done.
        if self._payload.round <= 1 and not self._payload.sub_task.feedback:
            return Conversation.of(self._memory).tainted_by  # the plan was made with the earlier answers in sight
        return merged(*(entry.taint for entry in self._memory.entries()))

    def _problem(self, result: Result) -> str:
        """Return why a result cannot be used, or an empty text."""
        if result.stalled:
            return f"it was going round in circles: {result.stalled}"
        if not result.text:
            return "the agent gave an empty answer" + (f", cut off by {result.cut_off}" if result.cut_off else "")
        sub_task, previous = self._payload.sub_task, self._memory.seen(self._payload.previous)
        if previous is not None and sub_task.feedback and same_text(previous.text, result.text):
            return f"it gave the same result again as in attempt {sub_task.attempt - 1}, in spite of the feedback"
        return ""

    async def _limited(self, result: Result, limit: BudgetSpentError) -> Outcome:
        """Record an attempt that a limit ended, with the result so far. Only the limit of the run ends the run."""
        of_run = {"limit": limit.dimension} if limit.is_of_run else {}
        return await self._recorder.outcome(result, "failed", error=f"not finished: {limit}", **of_run)

    async def _failed(self, error: Exception) -> Outcome:
        """Record a failure of the sub-task; pause for a failure of its surroundings, until they are mended.

        A refusal of this one request is a failure of the sub-task: only another plan helps against it.

        Raises:
            GraphInterrupt: The model cannot be reached or refuses the key.
        """
        explained = as_model_error(error)
        if explained is None:
            text = str(error) if isinstance(error, WorkerError) else f"{type(error).__name__}: {error}"
            return await self._recorder.outcome(Result(""), "failed", error=redact(sound(text)))
        if is_refusal(error):  # the same request would be refused again, and a pause would never end
            return await self._recorder.outcome(Result(""), "failed", error=str(explained))
        # `Run` reads this form, and shows the error of the sub-task instead of a review.
        trouble = {"kind": "trouble", "sub_task_id": self._payload.sub_task.id, "error": str(explained)}
        raise GraphInterrupt((Interrupt(value=trouble, id=f"trouble-{self._payload.key}"),)) from error
