"""The saved outcomes and steps of node executions."""

from langgraph.checkpoint.base import BaseCheckpointSaver

from orchestrator.concurrency import BLOCKING
from orchestrator.graph.invocation import Invocation


async def returned_outcomes(invocation: Invocation) -> dict[str, str]:
    """Return the keys of the sub-tasks whose nodes have returned in this super-step, by id."""
    graph = invocation.namespace.rpartition("|")[0]
    configurable = {
        "thread_id": invocation.thread_id,
        "checkpoint_ns": graph,
        "checkpoint_id": invocation.config["configurable"].get("checkpoint_map", {}).get(graph),
    }
    if not isinstance(invocation.checkpointer, BaseCheckpointSaver):
        return {}
    read = invocation.checkpointer.get_tuple if invocation.bridge is BLOCKING else invocation.checkpointer.aget_tuple
    saved = await invocation.bridge.call(read, {"configurable": configurable})
    writes = () if saved is None else saved.pending_writes or ()
    outcomes = [value for _, channel, value in writes if channel == "outcomes"]
    return {task_id: outcome["key"] for each in outcomes for task_id, outcome in each.items()}


async def drop_steps(invocation: Invocation) -> None:
    """Delete the steps that this node execution's agent has saved: its result is in the shared memory."""
    # Only our own saver can do so: LangGraph deletes nothing smaller than a thread.
    drop = getattr(
        invocation.checkpointer, "drop_namespace" if invocation.bridge is BLOCKING else "adrop_namespace", None
    )
    if drop is not None:
        await invocation.bridge.call(drop, invocation.thread_id, invocation.namespace)
