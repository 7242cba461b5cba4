"""Acceptance of plans: proposing a plan to a human, and starting work on it."""

from collections.abc import Mapping

from orchestrator.agents.forecast import Forecast, forecast, history_key
from orchestrator.budget.past_spend import read_past
from orchestrator.budget.prices import has_public_price
from orchestrator.events import Planned
from orchestrator.graph.supervision.turn import Turn, Update
from orchestrator.planning.assessment import renewed
from orchestrator.planning.outcome import Outcome
from orchestrator.planning.plan import Plan
from orchestrator.reviews.questions import plan_review


async def propose(turn: Turn, plan: Plan, revisions: int, *, ask: bool = True) -> Update:
    """Ask for the plan's approval, or accept the plan at once.

    Args:
        turn: The execution of the supervisor's node.
        plan: The plan.
        revisions: Number of times that the plan has been changed in this run, this change counted.
        ask: False for a plan that needs no approval.
    """
    if turn.auto_approve or not ask:
        return await accept(turn, plan) | {"revisions": revisions}
    turn.invocation.emit(Planned(plan))
    expected = await _forecast(turn, plan)
    review = plan_review(
        turn.memory_id,
        plan,
        revisions,
        str(expected),
        expected.plain(),
        turn.team.workers,
        turn.limits.sub_tasks,
        turn.task_number,
        before=None if turn.begins else turn.plan,
    )
    update: Update = {
        "plan": plan.plain(),
        "revisions": revisions,
        "phase": "approve_plan",
        "review": review.model_dump(mode="json", exclude_defaults=True),
    }
    # A human may refuse the proposal. The run is then answered from the plan that was accepted before it.
    accepted = turn.accepted_plan
    return update if accepted is None else update | {"standing": accepted.plain()}


async def accept(
    turn: Turn, plan: Plan, retries: Mapping[str, str] | None = None, *, is_wanted: bool = False
) -> Update:
    """Accept a plan and start work on it. This is the only place that retracts results which the new plan lacks.

    A plan that is only proposed retracts nothing, since a human may refuse it. The memory follows from the accepted
    plan alone, so a kill between the retraction and the checkpoint does no harm, whatever is decided afterwards.

    Args:
        turn: The execution of the supervisor's node.
        plan: The plan.
        retries: Feedback by id, where work is sent back.
        is_wanted: True when a human wants this plan carried out. Then a sub-task that failed in the plan before and
            is unchanged in this one gets another attempt. Otherwise it stays failed: the supervisor knew of it.
    """
    bridge = turn.invocation.bridge
    await turn.memory.load(bridge)
    former = turn.accepted_plan or Plan(sub_tasks=())
    # The memory knows failures that the state does not: of sub-tasks that an earlier revision had dropped.
    failed = {e.key: Outcome.model_validate(e.outcome) for e in turn.memory.entries() if e.has_failed}
    failed |= {outcome.key: outcome for outcome in turn.outcomes.values() if outcome.status == "failed"}
    left_as_failed = () if is_wanted else former.keys.values()
    accepted = renewed(plan, {key: outcome for key, outcome in failed.items() if key not in left_as_failed})
    await turn.memory.retract_all_but(bridge, accepted.keys.values())
    if not is_wanted or accepted.plain() != turn.state["plan"]:
        turn.invocation.emit(Planned(accepted, dict(retries or {})))
    update: Update = {"plan": accepted.plain(), "approved": accepted.digest, "phase": "work", "review": None}
    return update | {"standing": None} if turn.state.get("standing") else update


async def _forecast(turn: Turn, plan: Plan) -> Forecast:
    # Looking prices up takes a while, so only where somebody pays.
    ledger = turn.invocation.ledger
    agents = (turn.supervisor, *(turn.team.workers[task.target_agent] for task in plan.sub_tasks))
    is_paid = bool(ledger.budget.prices) or any(a.has_model and has_public_price(a.model) for a in agents)
    outcomes = turn.outcomes
    if turn.begins:  # results of the former run say what such work costs, and none of them is used again
        saved = (turn.state.get("outcomes") or {}).items()
        outcomes = {task_id: Outcome.model_validate({**form, "key": ""}) for task_id, form in saved}
    prices = ledger.budget.prices if is_paid else None
    workers = {t.target_agent: turn.team.workers[t.target_agent] for t in plan.sub_tasks}
    names = {history_key(worker): name for name, worker in workers.items()}
    uses = await read_past(turn.invocation.bridge, turn.invocation.store, names)
    past = {names[key]: [tokens for _, tokens in each] for key, each in uses.items()}
    return forecast(plan, turn.team.workers, turn.limits, outcomes, ledger.spent, prices=prices, past=past)
