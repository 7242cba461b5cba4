"""supervisor: plans at first, and decides after each round and each gate what comes next.

The node is called with the phase that has just ended, and returns the next one.
"""

from collections.abc import Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig

from orchestrator.agents.team import Team
from orchestrator.budget.budget import Budget, BudgetSpentError
from orchestrator.budget.ledger_store import begin_ledger
from orchestrator.concurrency import Bridge
from orchestrator.errors import PlanError
from orchestrator.events import Planning, RoundStarted
from orchestrator.graph.invocation import cancellable, warn_of_other_models
from orchestrator.graph.nodes.bridged_node import BridgedNode
from orchestrator.graph.output import report_stop, reporting_pauses
from orchestrator.graph.routing import unfinished
from orchestrator.graph.state import INPUTS_OF_ONE_RUN, State, cleared
from orchestrator.graph.supervision.acceptance import accept, propose
from orchestrator.graph.supervision.after_round import after_round, retry_with_feedback
from orchestrator.graph.supervision.beginning import keep_former_task
from orchestrator.graph.supervision.endings import close, end_for_budget, finish, stop
from orchestrator.graph.supervision.telling import began_fact, turn_facts
from orchestrator.graph.supervision.turn import Turn, Update
from orchestrator.graph.wanted_output import output_note
from orchestrator.memory.entry import Entry
from orchestrator.models.error_texts import explaining
from orchestrator.planning.assessment import Assessment, assess, current, renewed
from orchestrator.planning.plan import Plan
from orchestrator.reviews.decisions import STOPPED, forget_decisions
from orchestrator.text import sound


def supervise(team: Team) -> BridgedNode:
    """Return the node for the supervisor of a team."""

    async def decide(bridge: Bridge, state: State, config: RunnableConfig) -> Update:
        turn = Turn(team, bridge, state, config)
        async with cancellable(turn.invocation):
            with explaining(), reporting_pauses(turn.invocation):
                return await _decide(turn)

    return BridgedNode("supervisor", decide)


async def _decide(turn: Turn) -> Update:
    """Return what to write to the state."""
    invocation, state = turn.invocation, turn.state
    if turn.is_new:
        limits = state.get("budget")
        budget = turn.team.budget if limits is None else Budget.parse(limits)
        await keep_former_task(turn)  # first of all: the ledger still holds what the former task spent
        # Before the budget is looked at: the ledger of the task before may be spent, and a question about it open.
        also = await invocation.begin_instructions(sound(state.get("task") or ""))
        models = turn.team.used_models().plain()
        run, began = invocation.namespace, began_fact(turn, budget, models)
        former = await begin_ledger(
            invocation.bridge, invocation.store, turn.memory_id, budget, run, also, models, [began]
        )
        if not turn.state.get("afresh"):
            warn_of_other_models(invocation, turn.team, former)
    if not turn.begins and state.get("phase") == "work":
        await turn.adopt_rework()
        state = turn.state
    turn.instructions = await invocation.instructions()
    decision = await invocation.budget_decision()
    warn_of_other_models(invocation, turn.team)
    try:
        match decision:
            case "stop":
                update = stop(turn, "a human stopped the run when the budget was spent")
            # A stop at any other review outranks the answer about the budget.
            case "finish" if await invocation.is_stopped():
                update = stop(turn, STOPPED)
            case "finish":
                update = await end_for_budget(turn, invocation.ledger.asked)
            case _:
                update = await _by_phase(turn)
    except BudgetSpentError as error:
        if not turn.auto_approve:
            raise await invocation.pause_for_budget(error) from error
        update = await end_for_budget(turn, str(error))
    update = {**turn.adopted, **update}
    if update.get("phase") == "work" and not _has_work(turn, update):
        update["phase"] = "summarize"  # what was left of the plan is done already
    if update.get("phase") == "work":
        update["round"] = update.get("round", state.get("round", 0)) + 1
        invocation.begin_round(update["round"])
        invocation.emit(RoundStarted(update["round"]))
    elif update.get("phase") != "summarize":  # the run ends or pauses here; `summarize` flushes for itself
        await invocation.ledger.flush(invocation.bridge)
    update |= await report_stop(turn, update)
    await invocation.tell(*turn_facts(turn, update))
    return update | _bookkeeping(turn)


def _bookkeeping(turn: Turn) -> Update:
    """Return what every turn writes besides its decision."""
    # The input is for one run only: a later run on the thread must not inherit its plan or its approval in advance.
    update: Update = {name: None for name in INPUTS_OF_ONE_RUN if turn.state.get(name)}
    usage = turn.invocation.ledger.spent.counters()
    if usage != turn.state.get("usage"):
        update["usage"] = usage
    if turn.heard != turn.state.get("heard", 0):
        update["heard"] = turn.heard
    if turn.auto_approve != bool(turn.state.get("unattended")):
        update["unattended"] = turn.auto_approve
    return update


def _has_work(turn: Turn, update: Update) -> bool:
    plan = Plan.parse(update["plan"]) if update.get("plan") else turn.plan
    return bool(unfinished(plan, {task_id: outcome.plain() for task_id, outcome in turn.outcomes.items()}))


async def _by_phase(turn: Turn) -> Update:
    if turn.begins:
        return await _begin(turn)
    match turn.state.get("phase"):
        case "approve_plan":
            return await _after_plan_review(turn)
        case "human_review":
            return await _after_steering(turn)
        case "raised":
            return await _after_raise(turn)
        case "summarize":
            return {"phase": "summarize"}
        case _:
            return await after_round(turn)


async def _begin(turn: Turn) -> Update:
    invocation, state = turn.invocation, turn.state
    task = sound(state.get("task") or "").strip()
    if not task:
        raise PlanError(['there is no task: start the graph with {"task": "what to do"}'])
    # The thread may have carried out a task before, even this one. No decision of that run answers for the new one.
    await forget_decisions(invocation.bridge, invocation.store, turn.memory_id)
    wanted = [output_note(schema)] if (schema := state.get("output_schema")) else []
    await turn.memory.write(invocation.bridge, Entry(key="task", text=task, status="note"), *wanted)
    own_plan: Any = state.get("given_plan")
    if own_plan:
        plan = turn.supervisor.checked(Plan.parse(own_plan))
    else:
        invocation.emit(Planning())
        plan = await _plan(turn, task)
    fields = cleared(state, turn.memory_id, turn.number, turn.task_number) | {"status": "running"}
    # A plan without sub-tasks costs nothing: the earlier answers suffice.
    return fields | await propose(turn, plan, 0, ask=not own_plan and bool(plan.sub_tasks))


async def _plan(turn: Turn, task: str, feedback: Sequence[str] = ()) -> Plan:
    earlier, config = await turn.conversation(), turn.invocation.config
    turn.hear()
    plan, _ = await turn.supervisor.plan(turn.calls, task, feedback, config, earlier, turn.instructions)
    return plan


async def _after_plan_review(turn: Turn) -> Update:
    _, decision = turn.decision()
    if decision is None:
        return await propose(turn, turn.plan, turn.revisions)
    if decision.action == "stop":
        return stop(turn, "a human stopped the run at the plan")
    if decision.action == "reject":
        revisions = turn.revisions + 1
        if revisions > turn.limits.revisions:
            return await close(turn, f"the plan was rejected {revisions} times, the limit is reached")
        feedback = [*(turn.state.get("plan_feedback") or []), decision.text]
        plan = await _plan(turn, turn.state["task"], feedback)
        return {"plan_feedback": feedback} | await propose(turn, plan, revisions)
    plan = Plan.parse(decision.data) if decision.action == "edit" else turn.plan
    return await accept(turn, plan, is_wanted=True)


async def _after_steering(turn: Turn) -> Update:
    review, decision = turn.decision()
    if decision is None and not turn.auto_approve:
        return {"phase": "human_review"}
    if decision is not None and decision.action == "stop":
        return stop(turn, "a human stopped the run")
    if decision is not None and decision.action == "reject":
        targets = [task_id for task_id in review.subject["sub_tasks"] if task_id in turn.plan.by_id]
        update = await retry_with_feedback(turn, Assessment(retries=dict.fromkeys(targets, decision.text)))
        return {"more_rounds": turn.state.get("more_rounds", 0) + 1, **update}
    return await finish(turn, turn.plan, assess(turn.plan, turn.outcomes, turn.limits.attempts), "limited")


async def _after_raise(turn: Turn) -> Update:
    """Go on after the end. What was cut off is done again, what was not done is done, and what was done stands."""
    update: Update = {
        "status": "running",
        "limited_by": "",
        "notes": [],
        "answer": "",
        "references": [],
        "output": None,
    }
    if turn.accepted_plan is None:  # the run ended before the plan was approved, so the gate asks again
        return update | await propose(turn, turn.plan, turn.revisions)
    cut_off = {outcome.key: outcome for outcome in current(turn.plan, turn.outcomes).values() if outcome.limit}
    if not cut_off:
        return update | await after_round(turn)
    update["more_rounds"] = turn.state.get("more_rounds", 0) + 1
    return update | await accept(turn, renewed(turn.plan, cut_off))
