"""The way out of a spent budget when a human can be asked: raise it, finish with what there is, or stop.

Every node that lacks room asks the same question, with the same id, so one answer is enough for all of them.
"""

from typing import Literal

from langgraph.errors import GraphInterrupt
from langgraph.store.base import BaseStore
from langgraph.types import Interrupt

from orchestrator.budget.ledger import Ledger
from orchestrator.concurrency import Bridge
from orchestrator.reviews.decisions import ask_unless_stopped, is_stopped, record_decision
from orchestrator.reviews.parking import NO_PARKING, Parking
from orchestrator.reviews.payload import review_payload
from orchestrator.reviews.questions import budget_review
from orchestrator.reviews.review import Decision, Review
from orchestrator.reviews.saved.decisions import recorded_decision

BudgetDecision = Literal["go", "finish", "stop"]
Task = tuple[str, int]
"""A thread, and the number of its task."""


def pause(ledger: Ledger, task: Task, namespace: str) -> GraphInterrupt:
    """Return the pause for a node that needs more budget to raise.

    When the node runs again, it asks `budget_decision` first.
    """
    # LangGraph's `interrupt()` can return an answer at once, and the node cannot use one in the middle of its work.
    payload = review_payload(_review(ledger, task))
    # LangGraph 1.2: `from_ns` gives the id of the node's first `interrupt()`. So an answer by id reaches
    # `budget_decision` when the node runs again.
    return GraphInterrupt((Interrupt.from_ns(payload, namespace, response_schema=payload["schema"]),))


async def budget_decision(
    bridge: Bridge, store: BaseStore, ledger: Ledger, task: Task, parking: Parking = NO_PARKING
) -> BudgetDecision:
    """Return a human's decision about a spent budget: `go` when the budget was raised, or is not spent.

    Raises:
        GraphInterrupt: A human was asked and has not decided.
    """
    if not ledger.asked:
        return "go"
    review = _review(ledger, task)
    decision = await ask_unless_stopped(bridge, store, review, parking)
    if decision.action != "edit":
        await record_decision(bridge, store, review, decision)  # it holds for every node that asks the same question
    return await _carry_out(bridge, ledger, task, review, decision)


async def awaited_decision(
    bridge: Bridge, store: BaseStore, ledger: Ledger, task: Task, parking: Parking
) -> BudgetDecision | None:
    """Return the decision about a spent budget while other work goes on, or None when nothing else goes on.

    For the middle of a node's work, where LangGraph's `interrupt()` must not be called: see `pause`.
    """
    review = _review(ledger, task)
    while True:
        if (decision := await recorded_decision(bridge, store, review)) is not None:
            return await _carry_out(bridge, ledger, task, review, decision)
        if await is_stopped(bridge, store, task[0]):
            return "stop"
        if not await parking.park(review):
            return None


async def _carry_out(bridge: Bridge, ledger: Ledger, task: Task, review: Review, decision: Decision) -> BudgetDecision:
    if decision.action == "edit":
        # Another node that asked the same may have raised the budget, and the run may have passed that one too.
        if review.id == _review(ledger, task).id:
            await ledger.set_budget(bridge, ledger.budget.raised(decision.data), decision.by)
        return "go"
    return "finish" if decision.action == "approve" else "stop"


def _review(ledger: Ledger, task: Task) -> Review:
    thread_id, number = task
    return budget_review(thread_id, ledger.budget, ledger.asked, ledger.spent, ledger.seconds, number)
