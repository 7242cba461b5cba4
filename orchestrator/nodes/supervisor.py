"""supervisor: plans at first, and decides after each round and each gate what comes next.

It is called with the phase that has just ended, and returns the next one. Each way back into `work` uses up an
attempt of a sub-task, a revision, or a decision of a human, so it is taken a bounded number of times.
"""

import uuid
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphBubbleUp

from orchestrator.accounts import SUPERVISOR, Account
from orchestrator.assessment import Assessment, assess, current, gaps
from orchestrator.bridge import Bridge, BridgedNode
from orchestrator.budget import Budget, BudgetSpentError
from orchestrator.budget_review import pause, way_on
from orchestrator.errors import DecisionError, ModelError, PlanError
from orchestrator.forecast import Forecast, forecast
from orchestrator.invocation import Invocation
from orchestrator.ledgers import begin_ledger
from orchestrator.limits import Limits
from orchestrator.memory import Entry, SharedMemory
from orchestrator.model_call import CallPolicy, ModelCalls
from orchestrator.models import explain
from orchestrator.plan import Outcome, Plan
from orchestrator.reviews import Decision, Review, forget_decisions, review_id
from orchestrator.revision import Revision
from orchestrator.state import State
from orchestrator.supervisor import Supervisor
from orchestrator.usage import Usage, add_usage

Update = dict[str, Any]
_FINAL = ("done", "failed", "limited", "stopped")


def supervise(
    supervisor: Supervisor, limits: Limits, budget: Budget | None = None, calls: CallPolicy | None = None
) -> BridgedNode:
    """The node for this supervisor."""

    async def decide(bridge: Bridge, state: State, config: RunnableConfig) -> Update:
        try:
            return await _Supervision(
                bridge, supervisor, limits, budget or Budget(), calls or CallPolicy(), state, config
            ).next()
        except (PlanError, DecisionError, GraphBubbleUp):
            raise
        except Exception as error:
            explained = None if isinstance(error, ModelError) else explain(error)
            if explained is None:
                raise
            raise explained from error

    return BridgedNode("supervisor", decide)


class _Supervision:
    """One execution of the node."""

    def __init__(
        self,
        bridge: Bridge,
        supervisor: Supervisor,
        limits: Limits,
        budget: Budget,
        call_policy: CallPolicy,
        state: State,
        config: RunnableConfig,
    ) -> None:
        self.bridge = bridge
        self.supervisor = supervisor
        self.limits = limits
        self.budget = budget
        self.state = state
        self.config = config
        self.invocation = Invocation.of(config)
        self.begins = self._is_beginning()
        self.memory_id = self._memory_id()
        self.ledger = self.invocation.ledger(bridge, self.memory_id)
        self.calls = ModelCalls(bridge, Account(SUPERVISOR), self.ledger, call_policy, self.invocation.emit)
        self.auto_approve = bool(state.get("auto_approve"))
        self.usage: Usage = {}

    def _is_beginning(self) -> bool:
        state = self.state
        has_ended = state.get("status") in _FINAL and state.get("phase") != "summarize"
        return has_ended or state.get("planned_task") != state.get("task") or not state.get("plan")

    def _memory_id(self) -> str:
        if self.begins:
            return self.invocation.thread_id or uuid.uuid4().hex
        return self.state["memory_id"]

    async def next(self) -> Update:
        """What to write to the state."""
        if self.begins and self.state.get("phase") != "raised":
            given = self.state.get("budget")
            budget = self.budget if given is None else Budget.parse(given)
            await begin_ledger(self.bridge, self.invocation.store, self.memory_id, budget, self.invocation.namespace)
        await self.ledger.load(self.bridge)
        way = await way_on(self.bridge, self.invocation.store, self.ledger, self.memory_id)
        if way == "stop":
            return self._end("stopped", ["a human stopped the run when the budget was spent"])
        try:
            update = self._wind_up(self.ledger.asked) if way == "finish" else await self._by_phase()
        except BudgetSpentError as error:
            if not self.auto_approve:
                await self.ledger.ask(self.bridge, str(error))
                raise pause(self.ledger, self.memory_id, self.invocation.namespace) from error
            update = self._wind_up(str(error))
        if self.usage:
            update["usage"] = self.usage
        if update.get("phase") == "work":
            update["round"] = update.get("round", self.state.get("round", 0)) + 1
            self.invocation.emit({"event": "round", "round": update["round"]})
        elif update.get("phase") != "summarize":
            await self.ledger.flush(self.bridge)
        return update

    async def _by_phase(self) -> Update:
        if self.begins:
            return await self._begin()
        match self.state.get("phase"):
            case "approve_plan":
                return await self._after_plan_review()
            case "human_review":
                return await self._after_steering()
            case "raised":
                return await self._after_raise()
            case "summarize":
                return {"phase": "summarize"}
            case _:
                return await self._after_round()

    # -- the beginning ------------------------------------------------------------------------------------------

    async def _begin(self) -> Update:
        task = (self.state.get("task") or "").strip()
        if not task:
            raise PlanError(['there is no task: start the graph with {"task": "what to do"}'])
        memory_id = self.memory_id
        memory = SharedMemory(self.invocation.store, memory_id)
        # The thread may have carried out a task before, even this one. Nothing of that answers for the new run.
        await memory.clear(self.bridge)
        await forget_decisions(self.bridge, self.invocation.store, memory_id)
        await memory.write(self.bridge, Entry(key="task", text=task, status="note"))
        update: Update = {
            "planned_task": self.state["task"],
            "memory_id": memory_id,
            "outcomes": dict.fromkeys(self.state.get("outcomes") or {}),
            "round": 0,
            "more_rounds": 0,
            "shapes": [],
            "notes": [],
            "plan_feedback": [],
            "answer": "",
            "status": "running",
            "limited_by": "",
        }
        given = self.state.get("given_plan")
        if given:
            plan = self.supervisor.checked(Plan.parse(given))
        else:
            self.invocation.emit({"event": "planning"})
            plan, self.usage = await self.supervisor.plan(self.calls, task, (), self.config)
        return update | self._propose(plan, memory_id, 0, ask=not given)

    def _propose(self, plan: Plan, memory_id: str, revisions: int, *, ask: bool = True) -> Update:
        """Takes the plan, and asks for its approval where somebody is there to give it."""
        self.invocation.emit({"event": "plan", "plan": plan.plain()})
        update: Update = {"plan": plan.plain(), "given_plan": None, "revisions": revisions}
        if self.auto_approve or not ask:
            return update | {"phase": "work", "approved": plan.digest, "review": None}
        expected = self._forecast(plan)
        review = Review(
            id=review_id(memory_id, "plan", plan.digest, str(revisions)),
            kind="plan",
            question="Shall this plan be carried out?",
            stake=f"{len(plan.sub_tasks)} sub-tasks: {expected}",
            subject={
                "plan": plan.plain()["sub_tasks"],
                "forecast": expected.plain(),
                "agents": sorted(self.supervisor.workers),
                "most": self.limits.sub_tasks,
            },
        )
        return update | {
            "phase": "approve_plan",
            "review": review.model_dump(mode="json", exclude_defaults=True),
        }

    def _forecast(self, plan: Plan) -> Forecast:
        outcomes = {i: Outcome.model_validate(o) for i, o in (self.state.get("outcomes") or {}).items()}
        # Looking prices up takes a while, so only where somebody pays.
        budget = self.ledger.budget
        paid = budget.cost_usd is not None or bool(getattr(self.supervisor.model, "is_openai", False))
        prices = budget.prices if paid else None
        return forecast(plan, self.supervisor.workers, self.limits, outcomes, self.ledger.spent, prices=prices)

    def _decision(self) -> tuple[Review, Decision | None]:
        """The review and its answer; None where the run was begun again with its task and stands before the gate."""
        review = Review.model_validate(self.state["review"])
        recorded = (self.state.get("decisions") or {}).get(review.id)
        return review, None if recorded is None else Decision.model_validate(recorded)

    async def _after_plan_review(self) -> Update:
        _, decision = self._decision()
        if decision is None:
            return self._propose(Plan.parse(self.state["plan"]), self.memory_id, self.state.get("revisions", 0))
        memory_id = self.state["memory_id"]
        if decision.action == "stop":
            return self._end("stopped", ["a human stopped the run at the plan"])
        if decision.action == "reject":
            revisions = self.state.get("revisions", 0) + 1
            if revisions > self.limits.revisions:
                return self._end("limited", [f"the plan was rejected {revisions} times, the limit is reached"])
            told = [*(self.state.get("plan_feedback") or []), decision.text]
            plan, self.usage = await self.supervisor.plan(self.calls, self.state["task"], told, self.config)
            return {"plan_feedback": told} | self._propose(plan, memory_id, revisions)
        plan = Plan.parse(decision.data if decision.action == "edit" else self.state["plan"])
        if decision.action == "edit":
            await self._withdraw_stale(plan)
        return {"plan": plan.plain(), "approved": plan.digest, "phase": "work", "review": None}

    # -- after a round ------------------------------------------------------------------------------------------

    async def _after_round(self) -> Update:
        plan = Plan.parse(self.state["plan"])
        outcomes = {i: Outcome.model_validate(o) for i, o in (self.state.get("outcomes") or {}).items()}
        found = assess(plan, outcomes, self.limits.attempts)
        if found.stopped:
            return self._end("stopped", ["a human stopped the run"])
        if len(current(plan, outcomes)) < len(plan.sub_tasks) and self.state.get("approved") == plan.digest:
            # A round ends with an outcome of every sub-task: this one was left when the task was given again.
            return {"phase": "work", "round": self.state.get("round", 1) - 1}
        if any(outcome.limit for outcome in current(plan, outcomes).values()):
            return self._finish(plan, outcomes, found, "limited") | {"limited_by": "budget"}
        if found.is_clean and len(current(plan, outcomes)) == len(plan.sub_tasks) and not gaps(plan, outcomes):
            return {"phase": "summarize", "notes": self.state.get("notes") or []}
        if self.state.get("round", 0) >= self.limits.rounds + self.state.get("more_rounds", 0):
            return self._at_the_limit(plan, outcomes, found, f"the limit of {self.limits.rounds} rounds is reached")
        if found.failures:
            return await self._after_failures(plan, outcomes, found)
        if found.retries:
            return await self._again(plan, found)
        return self._at_the_limit(plan, outcomes, found)

    async def _again(self, plan: Plan, found: Assessment) -> Update:
        """Sends work back with its feedback; no model is asked, and no human: it is bounded by attempts and rounds."""
        changed = plan.replace(*(plan.by_id[i].retry(text) for i, text in found.retries.items()))
        return await self._take(changed, found.retries)

    async def _take(self, changed: Plan, retries: dict[str, str] | None = None) -> Update:
        """Goes to work on a plan of which only attempts have changed, so that nobody is asked about it."""
        await self._withdraw_stale(changed)
        self.invocation.emit({"event": "plan", "plan": changed.plain(), "retries": retries or {}})
        return {"plan": changed.plain(), "approved": changed.digest, "phase": "work"}

    async def _after_failures(self, plan: Plan, outcomes: dict[str, Outcome], found: Assessment) -> Update:
        revisions = self.state.get("revisions", 0)
        if revisions >= self.limits.revisions:
            return self._at_the_limit(plan, outcomes, found)
        problems = [f"{i} failed: {outcomes[i].error}" for i in found.failures] + list(found.exhausted.values())
        revision = await self._revision(plan, outcomes, found, problems)
        if revision is None or revision.decision == "ask_human":
            return self._at_the_limit(plan, outcomes, found)
        if revision.decision == "finish":
            return self._finish(plan, outcomes, found, "failed")
        changed = revision.apply(plan, attempts=self.limits.attempts)
        kept = {i: text for i, text in found.retries.items() if changed.by_id.get(i) == plan.by_id[i]}
        changed = changed.replace(*(changed.by_id[i].retry(text) for i, text in kept.items()))
        shapes = [*(self.state.get("shapes") or []), plan.shape]
        if changed.shape != plan.shape and changed.shape in shapes:
            why = "the supervisor changed the plan back to one that was tried before"
            return self._at_the_limit(plan, outcomes, found, why)
        await self._withdraw_stale(changed)
        proposed = self._propose(changed, self.state["memory_id"], revisions + 1, ask=revision.widens)
        return proposed | {"shapes": shapes}

    async def _revision(
        self, plan: Plan, outcomes: dict[str, Outcome], found: Assessment, problems: list[str]
    ) -> Revision | None:
        """The model's decision; when it gives none that can be used, another attempt where there is one left."""
        try:
            revision, self.usage = await self.supervisor.revise(
                self.calls, self.state["task"], plan, outcomes, problems, self.config
            )
            return revision
        except PlanError:
            again = [
                {
                    "action": "retry",
                    "sub_task_id": i,
                    "text": f"The attempt before failed: {outcomes[i].error}",
                }
                for i in found.failures
                if plan.by_id[i].attempt < self.limits.attempts
            ]
            return Revision.parse({"decision": "revise", "changes": again}) if again else None

    def _at_the_limit(self, plan: Plan, outcomes: dict[str, Outcome], found: Assessment, why: str = "") -> Update:
        """Nothing can be tried again without a human: ask one, or finish with what there is."""
        if self.auto_approve:
            return self._finish(plan, outcomes, found, "limited")
        lines = [f"{i} failed: {outcomes[i].error}" for i in found.failures] + list(found.exhausted.values())
        lines = [*([why] if why else []), *(lines or gaps(plan, outcomes))]
        review = Review(
            id=review_id(self.state["memory_id"], "steer", plan.digest, *lines),
            kind="steer",
            question="The run is stuck. Finish with what there is (approve), or say what to try (reject)?",
            stake="; ".join(lines),
            subject={"sub_tasks": sorted({*found.failures, *found.exhausted_ids, *found.retries}), "problems": lines},
            allowed=("approve", "reject", "stop"),
        )
        return {"phase": "human_review", "review": review.model_dump(mode="json", exclude_defaults=True)}

    async def _after_steering(self) -> Update:
        review, decision = self._decision()
        plan = Plan.parse(self.state["plan"])
        outcomes = {i: Outcome.model_validate(o) for i, o in (self.state.get("outcomes") or {}).items()}
        if decision is None and not self.auto_approve:
            return {"phase": "human_review"}
        if decision is not None and decision.action == "stop":
            return self._end("stopped", ["a human stopped the run"])
        if decision is not None and decision.action == "reject":
            targets = [i for i in review.subject["sub_tasks"] if i in plan.by_id]
            found = Assessment(retries=dict.fromkeys(targets, decision.text))
            more = self.state.get("more_rounds", 0) + 1
            return {"review": None, "more_rounds": more, **await self._again(plan, found)}
        found = assess(plan, outcomes, self.limits.attempts)
        return self._finish(plan, outcomes, found, "limited")

    async def _after_raise(self) -> Update:
        """Goes on after the end: what was cut off is done again, what was not done is done, what was done stands."""
        update: Update = {"status": "running", "limited_by": "", "notes": [], "answer": ""}
        plan = Plan.parse(self.state["plan"])
        outcomes = {i: Outcome.model_validate(o) for i, o in (self.state.get("outcomes") or {}).items()}
        cut_off = [i for i, outcome in current(plan, outcomes).items() if outcome.limit]
        if not cut_off:
            return update | await self._after_round()
        changed = plan.replace(*(plan.by_id[i].again() for i in cut_off))
        return update | {"more_rounds": self.state.get("more_rounds", 0) + 1} | await self._take(changed)

    def _wind_up(self, why: str) -> Update:
        """Ends for want of budget: with what there is, if there is anything."""
        if self.begins or not self.state.get("plan"):
            known: Update = {"memory_id": self.memory_id, "planned_task": self.state.get("task", "")}
            old: Update = {"plan": None, "answer": "", "outcomes": dict.fromkeys(self.state.get("outcomes") or {})}
            return {**known, **old, **self._end("limited", [why]), "limited_by": "budget"}
        plan = Plan.parse(self.state["plan"])
        outcomes = {i: Outcome.model_validate(o) for i, o in (self.state.get("outcomes") or {}).items()}
        update = self._finish(plan, outcomes, assess(plan, outcomes, self.limits.attempts), "limited")
        update["limited_by"] = "budget"
        told = any(why in note for note in update["notes"])
        return update if told else update | {"notes": [*update["notes"], why]}

    # -- the end ------------------------------------------------------------------------------------------------

    def _finish(self, plan: Plan, outcomes: dict[str, Outcome], found: Assessment, status: str) -> Update:
        """Writes an answer from what there is; without any result there is nothing to write."""
        notes = gaps(plan, outcomes) + list(found.exhausted.values())
        now = current(plan, outcomes).values()
        if not any(outcome.status == "succeeded" or (outcome.limit and outcome.digest) for outcome in now):
            return self._end("failed" if status == "failed" else status, notes)
        return {"phase": "summarize", "status": status, "notes": notes, "review": None}

    def _end(self, status: str, notes: list[str]) -> Update:
        return {"phase": "end", "status": status, "notes": notes, "review": None}

    async def _withdraw_stale(self, plan: Plan) -> None:
        """Retracts results that the changed plan does not stand by, and books what they cost on the run."""
        before = Plan.parse(self.state["plan"])
        outcomes = {i: Outcome.model_validate(o) for i, o in (self.state.get("outcomes") or {}).items()}
        gone = current(before, outcomes).keys() - current(plan, outcomes).keys()
        self.usage = add_usage(self.usage, *(outcomes[task_id].usage for task_id in gone))
        memory = SharedMemory(self.invocation.store, self.state["memory_id"])
        await memory.load(self.bridge)
        standing = set(plan.keys.values())
        await memory.retract(self.bridge, [e.key for e in memory.results() if e.key not in standing])
