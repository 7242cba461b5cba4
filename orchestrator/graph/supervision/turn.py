"""Turn: one execution of the supervisor's node, with what the decisions of this execution need."""

from functools import cached_property
from typing import Any

from langchain_core.runnables import RunnableConfig

from orchestrator.agents.supervisor import Supervisor
from orchestrator.agents.team import Team
from orchestrator.budget.accounts import SUPERVISOR, Account
from orchestrator.budget.limits import Limits
from orchestrator.concurrency import Bridge
from orchestrator.graph.invocation import Invocation, described_config
from orchestrator.graph.saved.rework_notes import note_key, reworked, reworks_in
from orchestrator.graph.state import State
from orchestrator.memory.conversation import Conversation
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.model_calls.calls import ModelCalls
from orchestrator.planning.assessment import current
from orchestrator.planning.outcome import Outcome
from orchestrator.planning.plan import Plan
from orchestrator.reviews.review import Decision, Review
from orchestrator.reviews.saved.instructions import Instruction

Update = dict[str, Any]
FINAL = ("done", "failed", "limited", "stopped")


class Turn:
    """One execution of the supervisor's node.

    Args:
        team: The team.
        bridge: How to wait, call and reach stores.
        state: The graph's state.
        config: The node's config.

    Attributes:
        begins: True when nothing of a former run counts any more: a new task, or a task given again.
        is_new: True when a run begins from an input. A run that ended before it had a plan, and whose budget was
            raised, begins too, but not from an input.
        number: The number of the run's task among those of the thread's conversation.
        task_number: The number of the run's task among all tasks of the thread, also those that were forgotten.
        outcomes: The outcomes of the run so far, by sub-task id.
        auto_approve: True when no human is asked.
        instructions: What humans have told the run so far.
        adopted: The fields of the state that follow from rework within the last round.
        heard: The number of the last instruction that the supervisor's model was asked with.
    """

    def __init__(self, team: Team, bridge: Bridge, state: State, config: RunnableConfig) -> None:
        self.team = team
        self.state = state
        self.begins = _is_beginning(state)
        self.is_new = self.begins and state.get("phase") != "raised"
        config = described_config(config, agent=SUPERVISOR, round=state.get("round", 0))
        self.number = _number(state) if self.is_new else state.get("turn", 1)
        self.task_number = _task_number(state) if self.is_new else state.get("task_number", 1)
        memory_id = "" if self.begins else state["memory_id"]
        self.invocation = Invocation.of(bridge, config, memory_id, self.task_number)
        saved = {} if self.begins else state.get("outcomes") or {}
        self.outcomes = {task_id: Outcome.model_validate(form) for task_id, form in saved.items()}
        self.instructions: tuple[Instruction, ...] = ()
        self.adopted: Update = {}
        self.heard: int = state.get("heard", 0)
        # `unattended` is of the run that goes on; a new one has only its own input.
        self.auto_approve = bool(state.get("auto_approve") or (not self.is_new and state.get("unattended")))

    @property
    def supervisor(self) -> Supervisor:
        """The supervisor of the team."""
        return self.team.supervisor

    @property
    def limits(self) -> Limits:
        """The bounds of the run."""
        return self.team.limits

    @property
    def memory_id(self) -> str:
        """Names the thread's memory and reviews."""
        return self.invocation.memory_id

    @property
    def memory(self) -> SharedMemory:
        """The shared memory."""
        return self.invocation.memory

    @cached_property
    def calls(self) -> ModelCalls:
        """The supervisor's calls of its model."""
        allowance = self.invocation.allowance(Account(SUPERVISOR))
        return ModelCalls(self.invocation.bridge, allowance, self.team.calls, self.invocation.emit)

    @cached_property
    def plan(self) -> Plan:
        """The plan in the state: the accepted one, or one that waits for its approval."""
        return Plan.parse(self.state["plan"])

    @property
    def accepted_plan(self) -> Plan | None:
        """The plan that was accepted last. A plan that waits for its approval, or was refused it, is not."""
        if self.begins:
            return None
        if standing := self.state.get("standing"):
            return Plan.parse(standing)
        return self.plan if self.state.get("approved") == self.plan.digest else None

    @property
    def revisions(self) -> int:
        """Number of times that the plan has been changed in this run."""
        return self.state.get("revisions", 0)

    async def adopt_rework(self) -> None:
        """Take over the versions of sub-tasks that rework within the round has led to."""
        finished = current(self.plan, self.outcomes)
        # A sub-task that was sent back has another key, so its outcome is none of the plan in the state.
        if len(finished) == len(self.plan.sub_tasks) or self.state.get("approved") != self.plan.digest:
            return
        await self.memory.load(self.invocation.bridge)
        reworks = reworks_in(self.memory.seen(note_key(self.state.get("round", 0))))
        plan = reworked(self.plan, reworks)
        if plan == self.plan:
            return
        await self.memory.retract_all_but(self.invocation.bridge, plan.keys.values())
        number = max(rework.round for rework in reworks)
        self.adopted = {"plan": plan.plain(), "approved": plan.digest, "round": number}
        self.state = {**self.state, **self.adopted}  # type: ignore[typeddict-item]
        self.plan = plan

    def hear(self) -> None:
        """Note that the model is asked with the instructions so far."""
        self.heard = max((instruction.number for instruction in self.instructions), default=self.heard)

    async def conversation(self) -> Conversation:
        """Return the earlier tasks of the thread. The memory is read only if there are any."""
        if self.number > 1:
            await self.memory.load(self.invocation.bridge)
        return Conversation.of(self.memory)

    def decision(self) -> tuple[Review, Decision | None]:
        """Return the review of the gate before this turn, and its answer.

        The answer is None where the run was begun again with its task and stands before the gate.
        """
        review = Review.model_validate(self.state["review"])
        recorded = (self.state.get("decisions") or {}).get(review.id)
        return review, None if recorded is None else Decision.model_validate(recorded)


def _number(state: State) -> int:
    # `planned_task` is the task of the run before, if there was one.
    has_former = bool(state.get("planned_task")) and not state.get("afresh")
    return state.get("turn", 1) + 1 if has_former else 1


def _task_number(state: State) -> int:
    # Threads of older versions have no number, and the ids of their reviews none.
    return max(state.get("task_number", 1), state.get("turn", 1)) + 1 if state.get("planned_task") else 1


def _is_beginning(state: State) -> bool:
    # The status is set before `summarize` writes the answer. A run that was killed in between has not ended.
    has_ended = state.get("status") in FINAL and state.get("phase") != "summarize"
    # After a crash LangGraph's server gives the same task again, and the unfinished run goes on.
    return has_ended or state.get("planned_task") != state.get("task") or not state.get("plan")
