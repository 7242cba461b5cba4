"""When the budget is spent and somebody is there to ask: raise it, finish with what there is, or stop.

All that wait for room ask the same question, with the same id, so one answer is enough for all of them.
"""

import json
from typing import Literal

from langgraph.errors import GraphInterrupt
from langgraph.store.base import BaseStore
from langgraph.types import Interrupt

from orchestrator.bridge import Bridge
from orchestrator.ledger import Ledger
from orchestrator.reviews import Review, record_decision, review_id
from orchestrator.stopping import ask_unless_stopped

Way = Literal["go", "finish", "stop"]


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


def pause(ledger: Ledger, thread_id: str, namespace: str) -> GraphInterrupt:
    """The pause of a node that found the budget spent. Raise it; `way_on` takes it up when the node runs again.

    Not LangGraph's `interrupt`, which may return: the node could do nothing with an answer now.
    """
    payload = budget_review(thread_id, ledger).model_dump(mode="json", exclude_defaults=True)
    return GraphInterrupt((Interrupt.from_ns(payload, namespace),))


async def way_on(bridge: Bridge, store: BaseStore, ledger: Ledger, thread_id: str) -> Way:
    """What a human decided about a spent budget; `go` when nobody had to be asked, or it was raised.

    Raises:
        GraphInterrupt: It is not decided yet.
    """
    if not ledger.asked:
        return "go"
    review = budget_review(thread_id, ledger)
    decision = await ask_unless_stopped(bridge, store, review)
    if decision.action == "edit":
        await ledger.set_budget(bridge, ledger.budget.raised(decision.data))
        return "go"
    await record_decision(bridge, store, review, decision)  # so that it holds for all who will ask the same
    return "finish" if decision.action == "approve" else "stop"
