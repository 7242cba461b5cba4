"""summarize: writes the answer from the shared memory."""

from collections.abc import Callable
from typing import Any

from langchain_core.runnables import RunnableConfig

from orchestrator.accounts import SUPERVISOR, Account
from orchestrator.bridge import Bridge, BridgedNode
from orchestrator.budget import BudgetSpentError
from orchestrator.invocation import Invocation
from orchestrator.memory import Entry, SharedMemory
from orchestrator.model_call import CallPolicy, ModelCalls
from orchestrator.plan import Plan
from orchestrator.state import State
from orchestrator.supervisor import Supervisor, assembled


def summarize(supervisor: Supervisor, calls: CallPolicy | None = None) -> BridgedNode:
    """The node for this supervisor."""

    async def write(bridge: Bridge, state: State, config: RunnableConfig) -> dict[str, Any]:
        invocation = Invocation.of(config)
        invocation.emit({"event": "summarize"})
        memory = SharedMemory(invocation.store, state["memory_id"])
        await memory.load(bridge)
        ledger = invocation.ledger(bridge, state["memory_id"])
        await ledger.load(bridge)
        plan = Plan.parse(state["plan"])
        accepted = _entries(memory, _keys(plan, state, is_accepted))
        entries = accepted + _entries(memory, _keys(plan, state, is_unfinished))
        missing = state.get("notes") or []
        status = _status(plan, state, accepted)
        account = Account(SUPERVISOR, is_summary=True)
        ended: dict[str, Any] = {}
        try:
            answer, usage = await supervisor.answer(
                ModelCalls(bridge, account, ledger, calls, invocation.emit), state["task"], entries, missing, config
            )
        except BudgetSpentError:
            answer, usage, status = assembled(entries, missing), {}, "limited"
            ended = {"limited_by": "budget"}
        await ledger.flush(bridge)
        invocation.emit({"event": "answer"})
        return {"answer": answer, "usage": usage, "phase": "end", "status": status, **ended}

    return BridgedNode("summarize", write)


def is_accepted(outcome: dict[str, Any]) -> bool:
    """Whether the result stands."""
    return bool(outcome["status"] == "succeeded")


def is_unfinished(outcome: dict[str, Any]) -> bool:
    """Whether a limit ended the attempt: what it has was paid for, and is used."""
    return bool(outcome.get("limit"))


def _keys(plan: Plan, state: State, counts: Callable[[dict[str, Any]], bool]) -> list[str]:
    """Keys of the results that count, in the plan's order."""
    outcomes = state.get("outcomes") or {}
    return [
        plan.keys[task.id]
        for task in plan.sub_tasks
        if (outcome := outcomes.get(task.id)) is not None and outcome["key"] == plan.keys[task.id] and counts(outcome)
    ]


def _entries(memory: SharedMemory, keys: list[str]) -> list[Entry]:
    return [entry for key in keys if (entry := memory.seen(key)) is not None and entry.text]


def _status(plan: Plan, state: State, entries: list[Entry]) -> str:
    decided = state.get("status", "running")
    if decided != "running":
        return decided
    return "done" if len(entries) == len(plan.sub_tasks) else "failed"
