"""The way out of a spent budget when a human can be asked: raise it, finish with what there is, or stop.

Every node that lacks room asks the same question, with the same id, so one answer is enough for all of them.
"""

from typing import Literal

from langgraph.errors import GraphInterrupt
from langgraph.store.base import BaseStore
from langgraph.types import Interrupt

from orchestrator.budget.ledger import Ledger
from orchestrator.concurrency import Bridge
from orchestrator.reviews.decisions import ask_unless_stopped, record_decision
from orchestrator.reviews.questions import budget_review
from orchestrator.reviews.review import Review

BudgetDecision = Literal["go", "finish", "stop"]


def pause(ledger: Ledger, thread_id: str, namespace: str) -> GraphInterrupt:
    """Return the pause for a node that needs more budget to raise.

    When the node runs again, it asks `budget_decision` first.
    """
    # LangGraph's `interrupt()` can return an answer at once, and the node cannot use one in the middle of its work.
    payload = _review(ledger, thread_id).model_dump(mode="json", exclude_defaults=True)
    # LangGraph 1.2: `from_ns` gives the id of the node's first `interrupt()`. So an answer by id reaches
    # `budget_decision` when the node runs again.
    return GraphInterrupt((Interrupt.from_ns(payload, namespace),))


async def budget_decision(bridge: Bridge, store: BaseStore, ledger: Ledger, thread_id: str) -> BudgetDecision:
    """Return a human's decision about a spent budget: `go` when the budget was raised, or is not spent.

    Raises:
        GraphInterrupt: A human was asked and has not decided.
    """
    if not ledger.asked:
        return "go"
    review = _review(ledger, thread_id)
    decision = await ask_unless_stopped(bridge, store, review)
    if decision.action == "edit":
        await ledger.set_budget(bridge, ledger.budget.raised(decision.data))
        return "go"
    await record_decision(bridge, store, review, decision)  # it holds for every node that asks the same question
    return "finish" if decision.action == "approve" else "stop"


def _review(ledger: Ledger, thread_id: str) -> Review:
    return budget_review(thread_id, ledger.budget, ledger.asked, ledger.spent, ledger.seconds)
