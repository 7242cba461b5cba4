"""supervisor: plans at first, and decides after each round and each gate what comes next.

It is called with the phase that has just ended, and returns the next one. Each way back into `work` uses up an
attempt of a sub-task, a revision, or a decision of a human, so it is taken a bounded number of times.
"""

import uuid
from typing import Any

from langchain_core.runnables import RunnableConfig

from orchestrator.agents.forecast import Forecast, forecast
from orchestrator.agents.supervisor import Supervisor
from orchestrator.budget.allowance import Allowance
from orchestrator.budget.budget import Budget, BudgetSpentError
from orchestrator.budget.ledger_store import begin_ledger
from orchestrator.budget.limits import Limits
from orchestrator.concurrency import Bridge, BridgedNode
from orchestrator.errors import PlanError
from orchestrator.events import Planned, Planning, RoundStarted
from orchestrator.graph.invocation import Invocation
from orchestrator.graph.round import ROUNDS
from orchestrator.graph.routing import unfinished
from orchestrator.graph.state import State, cleared
from orchestrator.memory.entry import Entry
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.messages import Usage, add_usage
from orchestrator.model_calls.call_policy import CallPolicy
from orchestrator.model_calls.calls import ModelCalls
from orchestrator.models.error_texts import explaining
from orchestrator.models.profile import ModelProfile
from orchestrator.planning.assessment import Assessment, assess, current, failure_of, gaps, renewed
from orchestrator.planning.outcome import Outcome
from orchestrator.planning.plan import Plan
from orchestrator.planning.revision import Revision
from orchestrator.reviews.decisions import STOPPED, forget_decisions, is_stopped
from orchestrator.reviews.out_of_budget import budget_decision, pause
from orchestrator.reviews.questions import plan_review, steer_review
from orchestrator.reviews.review import Decision, Review

Update = dict[str, Any]
_FINAL = ("done", "failed", "limited", "stopped")


def supervise(
    supervisor: Supervisor, limits: Limits, budget: Budget | None = None, calls: CallPolicy | None = None
) -> BridgedNode:
    """The node for this supervisor."""

    async def decide(bridge: Bridge, state: State, config: RunnableConfig) -> Update:
        with explaining():
            return await _Supervision(
                bridge, supervisor, limits, budget or Budget(), calls or CallPolicy(), state, config
            ).next()

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
        self.memory = SharedMemory(self.invocation.store, self.memory_id)
        saved = {} if self.begins else state.get("outcomes") or {}
        self.outcomes = {i: Outcome.model_validate(o) for i, o in saved.items()}
        self.ledger = self.invocation.ledger(bridge, self.memory_id)
        self.calls = ModelCalls(bridge, Allowance(self.ledger), call_policy, self.invocation.emit)
        self.auto_approve = bool(state.get("auto_approve") or (not self._is_given() and state.get("unattended")))
        self.usage: Usage = {}

    def _is_given(self) -> bool:
        """Whether this begins a run from an input, and not a run that ended before its plan and was raised."""
        return self.begins and self.state.get("phase") != "raised"

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
        if self._is_given():
            given = self.state.get("budget")
            budget = self.budget if given is None else Budget.parse(given)
            await begin_ledger(self.bridge, self.invocation.store, self.memory_id, budget, self.invocation.namespace)
        await self.ledger.load(self.bridge)
        way = await budget_decision(self.bridge, self.invocation.store, self.ledger, self.memory_id)
        try:
            match way:
                case "stop":
                    update = self._stop("a human stopped the run when the budget was spent")
                case "finish" if await is_stopped(self.bridge, self.invocation.store, self.memory_id):
                    update = self._stop(STOPPED)
                case "finish":
                    update = await self._wind_up(self.ledger.asked)
                case _:
                    update = await self._by_phase()
        except BudgetSpentError as error:
            if not self.auto_approve:
                await self.ledger.ask(self.bridge, str(error))
                raise pause(self.ledger, self.memory_id, self.invocation.namespace) from error
            update = await self._wind_up(str(error))
        if self.usage:
            update["usage"] = self.usage
        # What was given was for this run, and is not for the next.
        update |= {name: None for name in ("given_plan", "auto_approve") if self.state.get(name)}
        if self.auto_approve != bool(self.state.get("unattended")):
            update["unattended"] = self.auto_approve
        if update.get("phase") == "work" and not self._has_work(update):
            update["phase"] = "summarize"  # what was left of the plan is done already
        if update.get("phase") == "work":
            update["round"] = update.get("round", self.state.get("round", 0)) + 1
            self.invocation.emit(RoundStarted(update["round"]))
        elif update.get("phase") != "summarize":
            await self.ledger.flush(self.bridge)
        return update

    def _has_work(self, update: Update) -> bool:
        plan = Plan.parse(update.get("plan") or self.state["plan"])
        return bool(unfinished(plan, {i: outcome.plain() for i, outcome in self.outcomes.items()}))

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
        # The thread may have carried out a task before, even this one. Nothing of that answers for the new run.
        await self.memory.clear(self.bridge)
        await forget_decisions(self.bridge, self.invocation.store, self.memory_id)
        await self.memory.write(self.bridge, Entry(key="task", text=task, status="note"))
        given = self.state.get("given_plan")
        if given:
            plan = self.supervisor.checked(Plan.parse(given))
        else:
            self.invocation.emit(Planning())
            plan, self.usage = await self.supervisor.plan(self.calls, task, (), self.config)
        fresh = cleared(self.state, self.memory_id) | {"status": "running"}
        return fresh | await self._propose(plan, 0, ask=not given)

    # -- taking a plan ------------------------------------------------------------------------------------------

    async def _propose(self, plan: Plan, revisions: int, *, ask: bool = True) -> Update:
        """Asks for the plan's approval where somebody is there to give it, and takes it where nobody is."""
        if self.auto_approve or not ask:
            return await self._take(plan) | {"revisions": revisions}
        self.invocation.emit(Planned(plan))
        agents, most = self.supervisor.workers, self.limits.sub_tasks
        forecast = self._forecast(plan)
        review = plan_review(self.memory_id, plan, revisions, str(forecast), forecast.plain(), agents, most)
        update: Update = {
            "plan": plan.plain(),
            "revisions": revisions,
            "phase": "approve_plan",
            "review": review.model_dump(mode="json", exclude_defaults=True),
        }
        standing = self._standing()
        return update if standing is None else update | {"standing": standing.plain()}

    async def _take(self, plan: Plan, retries: dict[str, str] | None = None, *, asked: bool = False) -> Update:
        """Goes to work on a plan. Every plan is taken here, and what it does not stand by is withdrawn here only.

        Not before: a plan that is proposed may be refused. And what becomes of the memory follows from the plan that
        is taken and from nothing else, so a kill before the checkpoint does no harm, whatever is decided then.

        Args:
            plan: The plan.
            retries: Feedback by id, where work is sent back.
            asked: Whether a human wants this plan carried out, and so also what failed in the plan before and stands
                in this one as it was. Otherwise that is left as it is: the supervisor knew of it.
        """
        await self.memory.load(self.bridge)
        before = self._standing() or Plan(sub_tasks=())
        failed = {e.key: Outcome.model_validate(e.outcome) for e in self.memory.entries() if e.has_failed}
        failed |= {outcome.key: outcome for outcome in self.outcomes.values() if outcome.status == "failed"}
        known = () if asked else before.keys.values()
        taken = renewed(plan, {key: outcome for key, outcome in failed.items() if key not in known})
        await self.memory.retract_all_but(self.bridge, taken.keys.values())
        gone = current(before, self.outcomes).keys() - current(taken, self.outcomes).keys()
        self.usage = add_usage(self.usage, *(self.outcomes[task_id].usage for task_id in gone))
        if not asked or taken.plain() != self.state["plan"]:
            self.invocation.emit(Planned(taken, retries or {}))
        update: Update = {"plan": taken.plain(), "approved": taken.digest, "phase": "work", "review": None}
        return update | {"standing": None} if self.state.get("standing") else update

    def _standing(self) -> Plan | None:
        """The plan that was taken last. One that waits for its approval, or was refused it, is not."""
        if self.begins:
            return None
        if standing := self.state.get("standing"):
            return Plan.parse(standing)
        plan = Plan.parse(self.state["plan"])
        return plan if self.state.get("approved") == plan.digest else None

    def _forecast(self, plan: Plan) -> Forecast:
        # Looking prices up takes a while, so only where somebody pays.
        budget = self.ledger.budget
        paid = budget.cost_usd is not None or ModelProfile.of(self.supervisor.model).is_openai
        prices = budget.prices if paid else None
        known = self.outcomes
        if self.begins:  # what was done for the former run says what such work costs, and has to be done again
            saved = (self.state.get("outcomes") or {}).items()
            known = {i: Outcome.model_validate({**outcome, "key": ""}) for i, outcome in saved}
        return forecast(plan, self.supervisor.workers, self.limits, known, self.ledger.spent, prices=prices)

    def _decision(self) -> tuple[Review, Decision | None]:
        """The review and its answer; None where the run was begun again with its task and stands before the gate."""
        review = Review.model_validate(self.state["review"])
        recorded = (self.state.get("decisions") or {}).get(review.id)
        return review, None if recorded is None else Decision.model_validate(recorded)

    async def _after_plan_review(self) -> Update:
        _, decision = self._decision()
        if decision is None:
            return await self._propose(Plan.parse(self.state["plan"]), self.state.get("revisions", 0))
        if decision.action == "stop":
            return self._stop("a human stopped the run at the plan")
        if decision.action == "reject":
            revisions = self.state.get("revisions", 0) + 1
            if revisions > self.limits.revisions:
                return await self._close(f"the plan was rejected {revisions} times, the limit is reached")
            told = [*(self.state.get("plan_feedback") or []), decision.text]
            plan, self.usage = await self.supervisor.plan(self.calls, self.state["task"], told, self.config)
            return {"plan_feedback": told} | await self._propose(plan, revisions)
        plan = Plan.parse(decision.data if decision.action == "edit" else self.state["plan"])
        return await self._take(plan, asked=True)

    # -- after a round ------------------------------------------------------------------------------------------

    async def _after_round(self) -> Update:
        ROUNDS.drop(self.invocation.round_key(self.memory_id))  # all that the super-step expected have left
        plan, outcomes = Plan.parse(self.state["plan"]), self.outcomes
        found = assess(plan, outcomes, self.limits.attempts)
        if found.stopped:
            return self._stop("a human stopped the run")
        if len(current(plan, outcomes)) < len(plan.sub_tasks) and self.state.get("approved") == plan.digest:
            # A round ends with an outcome of every sub-task: this one was left when the task was given again.
            return {"phase": "work", "round": self.state.get("round", 1) - 1}
        if any(outcome.limit for outcome in current(plan, outcomes).values()):
            return await self._finish(plan, found, "limited") | {"limited_by": "budget"}
        if found.is_clean and len(current(plan, outcomes)) == len(plan.sub_tasks) and not gaps(plan, outcomes):
            return {"phase": "summarize", "notes": self.state.get("notes") or []}
        if self.state.get("round", 0) >= self.limits.rounds + self.state.get("more_rounds", 0):
            return await self._at_the_limit(plan, found, f"the limit of {self.limits.rounds} rounds is reached")
        if found.failures:
            return await self._after_failures(plan, found)
        if found.retries:
            return await self._again(plan, found)
        return await self._at_the_limit(plan, found)

    async def _again(self, plan: Plan, found: Assessment) -> Update:
        """Sends work back with its feedback; no model is asked, and no human: it is bounded by attempts and rounds."""
        changed = plan.replace(*(plan.by_id[i].retry(text) for i, text in found.retries.items()))
        return await self._take(changed, found.retries)

    async def _after_failures(self, plan: Plan, found: Assessment) -> Update:
        revisions = self.state.get("revisions", 0)
        if revisions >= self.limits.revisions:
            return await self._at_the_limit(plan, found)
        revision = await self._revision(plan, found)
        if revision is None or revision.decision == "ask_human":
            return await self._at_the_limit(plan, found)
        if revision.decision == "finish":
            return await self._finish(plan, found, "failed")
        changed = revision.apply(plan, attempts=self.limits.attempts)
        kept = {i: text for i, text in found.retries.items() if changed.by_id.get(i) == plan.by_id[i]}
        changed = changed.replace(*(changed.by_id[i].retry(text) for i, text in kept.items()))
        shapes = [*(self.state.get("shapes") or []), plan.shape]
        if changed.shape != plan.shape and changed.shape in shapes:
            why = "the supervisor changed the plan back to one that was tried before"
            return await self._at_the_limit(plan, found, why)
        return await self._propose(changed, revisions + 1, ask=revision.widens) | {"shapes": shapes}

    def _problems(self, found: Assessment) -> list[str]:
        """What went wrong, as sentences."""
        return [f"{i} failed: {self.outcomes[i].error}" for i in found.failures] + list(found.exhausted.values())

    async def _revision(self, plan: Plan, found: Assessment) -> Revision | None:
        """The model's decision; when it gives none that can be used, another attempt where there is one left."""
        try:
            revision, self.usage = await self.supervisor.revise(
                self.calls, self.state["task"], plan, self.outcomes, self._problems(found), self.config
            )
            return revision
        except PlanError:
            left = [i for i in found.failures if plan.by_id[i].attempt < self.limits.attempts]
            return Revision.retrying({i: failure_of(self.outcomes[i]) for i in left}) if left else None

    async def _at_the_limit(self, plan: Plan, found: Assessment, why: str = "") -> Update:
        """Nothing can be tried again without a human: ask one, or finish with what there is."""
        if self.auto_approve:
            return await self._finish(plan, found, "limited")
        problems = [*([why] if why else []), *(self._problems(found) or gaps(plan, self.outcomes))]
        sub_tasks = [*found.failures, *found.exhausted_ids, *found.retries]
        review = steer_review(self.memory_id, plan, self.state.get("round", 0), problems, sub_tasks)
        return {"phase": "human_review", "review": review.model_dump(mode="json", exclude_defaults=True)}

    async def _after_steering(self) -> Update:
        review, decision = self._decision()
        plan = Plan.parse(self.state["plan"])
        if decision is None and not self.auto_approve:
            return {"phase": "human_review"}
        if decision is not None and decision.action == "stop":
            return self._stop("a human stopped the run")
        if decision is not None and decision.action == "reject":
            targets = [i for i in review.subject["sub_tasks"] if i in plan.by_id]
            found = Assessment(retries=dict.fromkeys(targets, decision.text))
            more = self.state.get("more_rounds", 0) + 1
            return {"more_rounds": more, **await self._again(plan, found)}
        return await self._finish(plan, assess(plan, self.outcomes, self.limits.attempts), "limited")

    async def _after_raise(self) -> Update:
        """Goes on after the end: what was cut off is done again, what was not done is done, what was done stands."""
        update: Update = {"status": "running", "limited_by": "", "notes": [], "answer": ""}
        plan = Plan.parse(self.state["plan"])
        if self._standing() is None:  # it ended at the gate, and passes it now as little as then
            return update | await self._propose(plan, self.state.get("revisions", 0))
        cut_off = {o.key: o for o in current(plan, self.outcomes).values() if o.limit}
        if not cut_off:
            return update | await self._after_round()
        more = self.state.get("more_rounds", 0) + 1
        return update | {"more_rounds": more} | await self._take(renewed(plan, cut_off))

    # -- the end ------------------------------------------------------------------------------------------------

    async def _finish(self, plan: Plan, found: Assessment, status: str) -> Update:
        """Writes an answer from what there is; without any result there is nothing to write."""
        notes = gaps(plan, self.outcomes) + list(found.exhausted.values())
        now = current(plan, self.outcomes).values()
        if not any(outcome.status == "succeeded" or (outcome.limit and outcome.digest) for outcome in now):
            return self._end(status, notes)
        await self.memory.load(self.bridge)
        # Withdrawn for a plan that a process was about to take when it was killed.
        await self.memory.retract_all_but(self.bridge, plan.keys.values())
        return {"phase": "summarize", "status": status, "notes": notes, "review": None}

    async def _wind_up(self, why: str) -> Update:
        """Ends for want of budget: with what there is, if there is anything."""
        return await self._close(why) | {"limited_by": "budget"}

    async def _close(self, why: str) -> Update:
        """Ends for this reason with what there is of the plan that was taken last, if there is anything."""
        if (plan := self._standing()) is None:
            return self._left() | self._end("limited", [why])
        update = await self._finish(plan, assess(plan, self.outcomes, self.limits.attempts), "limited")
        told = any(why in note for note in update["notes"])
        return self._left() | (update if told else update | {"notes": [*update["notes"], why]})

    def _stop(self, why: str) -> Update:
        return self._left() | self._end("stopped", [why])

    def _left(self) -> Update:
        """What an end puts right in the state: nothing of a former run stays there, and no plan that nobody took."""
        if self.begins:
            return cleared(self.state, self.memory_id)
        standing = self.state.get("standing")
        return {"plan": standing, "standing": None} if standing else {}

    def _end(self, status: str, notes: list[str]) -> Update:
        return {"phase": "end", "status": status, "notes": notes, "review": None}
