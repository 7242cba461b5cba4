"""The gates: `approve_plan` before a plan is carried out, `human_review` for a run that is stuck.

The graph stops in front of both.
"""

from functools import partial
from typing import Any

from langchain_core.runnables import RunnableConfig

from orchestrator.concurrency import Bridge
from orchestrator.graph.invocation import Invocation, tell_resumption
from orchestrator.graph.nodes.bridged_node import BridgedNode
from orchestrator.graph.state import State
from orchestrator.reviews.answering.expiry import Expiry
from orchestrator.reviews.decisions import ask
from orchestrator.reviews.review import Review


async def _gate(expiry: Expiry, bridge: Bridge, state: State, config: RunnableConfig) -> dict[str, Any]:
    """Pass only with a decision for the review that the supervisor asked; otherwise ask again."""
    # LangGraph 1.2: `invoke(None)` passes a static stop. So the gate does not rely on it, and asks by itself.
    review = Review.model_validate(state["review"])
    invocation = Invocation.of(bridge, config, state.get("memory_id", ""), state.get("task_number", 1))
    tell_resumption(invocation)  # no other node runs beside a gate, and the next one begins a step of its own
    # In a graph of a user's own, other nodes may wait beside this one, and nobody sees the state with the review.
    is_outermost = "|" not in invocation.namespace
    decision = await ask(bridge, invocation.store, review, is_only=is_outermost, expiry=expiry)
    answer = {"decisions": {review.id: decision.model_dump(mode="json", exclude_defaults=True)}}
    return {**answer, "status": "running", "reviews": []}


def approve_plan(expiry: Expiry) -> BridgedNode:
    """Return the gate before a plan is carried out.

    Args:
        expiry: The rule for a question that nobody answers.
    """
    return BridgedNode("approve_plan", partial(_gate, expiry))


def human_review(expiry: Expiry) -> BridgedNode:
    """Return the gate of a run that only a human can help.

    Args:
        expiry: As for `approve_plan`.
    """
    return BridgedNode("human_review", partial(_gate, expiry))
