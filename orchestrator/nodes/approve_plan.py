"""approve_plan: the gate before a plan is carried out. The graph stops in front of it."""

from typing import Any

from langchain_core.runnables import RunnableConfig

from orchestrator.bridge import Bridge, BridgedNode
from orchestrator.invocation import Invocation
from orchestrator.reviews import Review, ask
from orchestrator.state import State


async def _gate(bridge: Bridge, state: State, config: RunnableConfig) -> dict[str, Any]:
    """Passes only with a decision for the review that the supervisor asked; otherwise it asks again."""
    review = Review.model_validate(state["review"])
    decision = await ask(bridge, Invocation.of(config).store, review)
    return {"decisions": {review.id: decision.model_dump(mode="json", exclude_defaults=True)}}


def approve_plan() -> BridgedNode:
    """The node."""
    return BridgedNode("approve_plan", _gate)
