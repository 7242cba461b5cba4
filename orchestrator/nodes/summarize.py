"""summarize: writes the answer from the shared memory."""

from typing import Any

from langchain_core.runnables import RunnableConfig

from orchestrator.bridge import Bridge, BridgedNode
from orchestrator.invocation import Invocation
from orchestrator.memory import Entry, SharedMemory
from orchestrator.plan import Plan
from orchestrator.state import State
from orchestrator.supervisor import Supervisor


def summarize(supervisor: Supervisor) -> BridgedNode:
    """The node for this supervisor."""

    async def write(bridge: Bridge, state: State, config: RunnableConfig) -> dict[str, Any]:
        invocation = Invocation.of(config)
        invocation.emit({"event": "summarize"})
        memory = SharedMemory(invocation.store, state["memory_id"])
        await memory.load(bridge)
        plan = Plan.parse(state["plan"])
        entries = [entry for key in _accepted(plan, state) if (entry := memory.seen(key)) is not None]
        missing = state.get("notes") or []
        answer, usage = await supervisor.answer(bridge, state["task"], entries, missing, config)
        invocation.emit({"event": "answer"})
        return {"answer": answer, "usage": usage, "phase": "end", "status": _status(plan, state, entries)}

    return BridgedNode("summarize", write)


def _accepted(plan: Plan, state: State) -> list[str]:
    """Keys of the results that stand, in the plan's order."""
    outcomes = state.get("outcomes") or {}
    return [
        plan.keys[task.id]
        for task in plan.sub_tasks
        if (outcome := outcomes.get(task.id)) is not None
        and outcome["status"] == "succeeded"
        and outcome["key"] == plan.keys[task.id]
    ]


def _status(plan: Plan, state: State, entries: list[Entry]) -> str:
    decided = state.get("status", "running")
    if decided != "running":
        return decided
    return "done" if len(entries) == len(plan.sub_tasks) else "failed"
