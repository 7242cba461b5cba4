"""Endings: with an answer from what there is, or without one."""

from orchestrator.graph.state import cleared
from orchestrator.graph.supervision.turn import Turn, Update
from orchestrator.planning.assessment import Assessment, assess, current, gaps
from orchestrator.planning.plan import Plan


async def finish(turn: Turn, plan: Plan, assessment: Assessment, status: str) -> Update:
    """Go on to write an answer from what there is, or end when there is no result at all.

    Args:
        turn: The execution of the supervisor's node.
        plan: The accepted plan.
        assessment: The assessment of its last round.
        status: The status that the run ends with.
    """
    notes = gaps(plan, turn.outcomes) + list(assessment.exhausted.values())
    outcomes = current(plan, turn.outcomes).values()
    if not any(outcome.status == "succeeded" or (outcome.limit and outcome.digest) for outcome in outcomes):
        return _end(status, notes)
    await turn.memory.load(turn.invocation.bridge)
    # A process that was about to accept another plan may have retracted results, and was killed before its checkpoint.
    await turn.memory.retract_all_but(turn.invocation.bridge, plan.keys.values())
    return {"phase": "summarize", "status": status, "notes": notes, "review": None}


async def end_for_budget(turn: Turn, reason: str) -> Update:
    """End because the budget is spent, with an answer from what there is."""
    return await close(turn, reason) | {"limited_by": "budget"}


async def close(turn: Turn, reason: str) -> Update:
    """End for a reason, with an answer from what there is of the accepted plan."""
    if (plan := turn.accepted_plan) is None:
        return _reset_fields(turn) | _end("limited", [reason])
    update = await finish(turn, plan, assess(plan, turn.outcomes, turn.limits.attempts), "limited")
    is_noted = any(reason in note for note in update["notes"])  # a sub-task may have failed for the same reason
    return _reset_fields(turn) | (update if is_noted else update | {"notes": [*update["notes"], reason]})


def stop(turn: Turn, reason: str) -> Update:
    """End because a human stopped the run."""
    return _reset_fields(turn) | _end("stopped", [reason])


def _reset_fields(turn: Turn) -> Update:
    """Return what an end corrects in the state: no field of a former run stays, and no plan that was not accepted."""
    if turn.begins:
        return cleared(turn.state, turn.memory_id, turn.number, turn.task_number)
    standing = turn.state.get("standing")
    return {"plan": standing, "standing": None} if standing else {}


def _end(status: str, notes: list[str]) -> Update:
    return {"phase": "end", "status": status, "notes": notes, "review": None}
