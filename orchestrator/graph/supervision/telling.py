"""Telling the journal what the supervisor has decided."""

from collections.abc import Mapping
from typing import Any

from orchestrator.budget.budget import Budget
from orchestrator.graph.supervision.turn import Turn, Update
from orchestrator.journal.fact import Fact, process_facts
from orchestrator.planning.plan import Plan
from orchestrator.reviews.open_reviews import asked
from orchestrator.reviews.review import Review
from orchestrator.text import sound


def began_fact(turn: Turn, budget: Budget, models: Mapping[str, Any]) -> Fact:
    """Return what is told of a run that begins.

    Args:
        turn: The first execution of the supervisor's node.
        budget: What the run may spend.
        models: The models that the team asks, JSON-plain.
    """
    data = {
        "task": sound(turn.state.get("task") or ""),
        "task_number": turn.task_number,
        "budget": budget.plain(),
        "models": dict(models),
        "workers": list(turn.team.workers),
        "auto_approve": turn.auto_approve,
        **process_facts(),
    }
    return Fact("run_began", key=f"run {turn.invocation.namespace}", data=data)


def turn_facts(turn: Turn, update: Update) -> list[Fact]:
    """Return what is told of one decision of the supervisor, in the order in which it took effect.

    Args:
        turn: The execution of the node.
        update: What it writes to the state.
    """
    facts: list[Fact] = []
    # An accepted plan may take effect in the same turn as its review or the end.
    number, phase = turn.task_number, update.get("phase")
    if update.get("approved") and update.get("plan"):
        plan = Plan.parse(update["plan"])
        facts.append(Fact("plan_taken", key=f"{number} plan {plan.digest} {_round(turn, update)}", data=_plan(plan)))
    elif phase == "approve_plan":
        facts.append(Fact("plan_proposed", data=_plan(Plan.parse(update.get("plan") or turn.state["plan"]))))
    if phase in ("approve_plan", "human_review"):
        facts.append(asked(Review.model_validate(update.get("review") or turn.state["review"])))
    if phase == "work":
        facts.append(Fact("round_began", key=f"{number} round {update['round']}", data={"round": update["round"]}))
    if phase == "end":
        facts.append(ended_fact(update))
    return facts


def ended_fact(update: Update) -> Fact:
    """Return what is told of a run that ends."""
    data: dict[str, Any] = {"status": update["status"], "notes": list(update.get("notes") or ())}
    return Fact("run_ended", data=data | ({"limited_by": update["limited_by"]} if update.get("limited_by") else {}))


def _plan(plan: Plan) -> dict[str, Any]:
    return {"plan": plan.plain(), "keys": dict(plan.keys)}


def _round(turn: Turn, update: Update) -> int:
    return int(update.get("round") or turn.state.get("round") or 0)
