"""The questions of the two gates: whether a plan shall be carried out, and what to do with a run that is stuck.

Invariant: within a run no two questions share an id, whatever a human has changed back in between, so the answer to
one never opens the gate for another. A plan is asked about once for each revision, a stuck run once after each round.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from orchestrator.budget.ledger import Ledger
from orchestrator.planning.plan import Plan
from orchestrator.reviews.review import Review, review_id


def budget_review(thread_id: str, ledger: Ledger) -> Review:
    """The question, about the budget as it is now; a raised one is another question."""
    budget, spent = ledger.budget.plain(), ledger.spent
    return Review(
        id=review_id(thread_id, "steer", "budget", json.dumps(budget, sort_keys=True)),
        kind="steer",
        question="The budget is spent. Raise it (edit), finish with what there is (approve), or stop?",
        stake="what is not finished stays undone",
        subject={
            "problems": [ledger.asked],
            "budget": budget,
            "spent": {
                "tokens": spent.tokens,
                "cost_usd": round(spent.cost_usd, 6),
                "model_calls": spent.model_calls,
                "tool_calls": spent.tool_calls,
                "wall_clock_s": round(ledger.seconds, 1),
            },
        },
        allowed=("approve", "edit", "stop"),
    )


def plan_review(
    thread_id: str,
    plan: Plan,
    revisions: int,
    expected: str,
    forecast: dict[str, Any],
    agents: Iterable[str],
    most: int,
) -> Review:
    """Asks whether a plan shall be carried out.

    Args:
        thread_id: The thread.
        plan: The plan.
        revisions: How often the plan has been changed in this run.
        expected: What it is likely to cost, in words.
        forecast: The same as plain data.
        agents: Who may work, for whoever edits the plan.
        most: Most sub-tasks that an edited plan may have.
    """
    return Review(
        id=review_id(thread_id, "plan", plan.digest, str(revisions)),
        kind="plan",
        question="Shall this plan be carried out?",
        stake=f"{len(plan.sub_tasks)} sub-tasks: {expected}",
        subject={
            "plan": plan.plain()["sub_tasks"],
            "forecast": forecast,
            "agents": sorted(agents),
            "most": most,
        },
    )


def steer_review(thread_id: str, plan: Plan, number: int, problems: Sequence[str], sub_tasks: Iterable[str]) -> Review:
    """Asks what to do when nothing can be tried again without a human.

    Args:
        thread_id: The thread.
        plan: The plan that is carried out.
        number: Of the round that has just ended.
        problems: Why it is stuck, as sentences.
        sub_tasks: Ids of what would be tried again.
    """
    return Review(
        id=review_id(thread_id, "steer", plan.digest, str(number), *problems),
        kind="steer",
        question="The run is stuck. Finish with what there is (approve), or say what to try (reject)?",
        stake="; ".join(problems),
        subject={"sub_tasks": sorted(set(sub_tasks)), "problems": list(problems)},
        allowed=("approve", "reject", "stop"),
    )
