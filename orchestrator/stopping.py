"""Stop: once a human has said it, at whatever review, nothing new is asked, called or executed on the thread.

What counts is the recorded decision, not what became of it: the execution of a node at whose review it was said may be
over, or killed, before the others come to ask. It holds until the thread's next run forgets all decisions.
"""

from langgraph.store.base import BaseStore, SearchOp

from orchestrator.bridge import Bridge
from orchestrator.memory import namespace
from orchestrator.reviews import Decision, Review, ask, record_decision, recorded_decision

STOPPED = "stopped by a human"


async def is_stopped(bridge: Bridge, store: BaseStore, thread_id: str) -> bool:
    """Whether a human has said stop at any review of the thread's run."""
    stops = SearchOp(namespace(thread_id, "decisions"), filter={"action": "stop"}, limit=1)
    return bool((await bridge.batch(store, [stops]))[0])


async def ask_unless_stopped(bridge: Bridge, store: BaseStore, review: Review) -> Decision:
    """As `reviews.ask`; but what has no decision of its own yet is stopped where something else was.

    Raises:
        GraphInterrupt: There is no valid decision yet; the run pauses and shows the review.
    """
    is_open = await recorded_decision(bridge, store, review) is None
    if is_open and await is_stopped(bridge, store, review.thread_id):
        return Decision(review_id=review.id, action="stop")
    decision = await ask(bridge, store, review)
    if is_open and decision.action == "stop":  # said as LangGraph's resume value, which only this node has seen
        await record_decision(bridge, store, review, decision)
    return decision
