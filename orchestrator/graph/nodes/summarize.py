"""summarize: writes the answer from the shared memory."""

from collections.abc import Callable
from typing import Any

from langchain_core.runnables import RunnableConfig

from orchestrator.agents.answer import Answer, assembled
from orchestrator.agents.supervisor import Supervisor
from orchestrator.budget.accounts import SUPERVISOR, Account
from orchestrator.budget.allowance import Allowance
from orchestrator.budget.budget import BudgetSpentError
from orchestrator.concurrency import Bridge, BridgedNode
from orchestrator.events import Answered, Summarizing
from orchestrator.graph.invocation import Invocation
from orchestrator.graph.state import State
from orchestrator.memory.entry import Entry
from orchestrator.memory.shared_memory import SharedMemory
from orchestrator.model_calls.call_policy import CallPolicy
from orchestrator.model_calls.calls import ModelCalls
from orchestrator.models.error_texts import explaining
from orchestrator.planning.plan import Plan


def summarize(supervisor: Supervisor, calls: CallPolicy | None = None) -> BridgedNode:
    """The node for this supervisor."""

    async def write(bridge: Bridge, state: State, config: RunnableConfig) -> dict[str, Any]:
        invocation = Invocation.of(config)
        invocation.emit(Summarizing())
        memory = SharedMemory(invocation.store, state["memory_id"])
        await memory.load(bridge)
        ledger = invocation.ledger(bridge, state["memory_id"])
        await ledger.load(bridge)
        plan = Plan.parse(state["plan"])
        accepted = _entries(memory, _keys(plan, state, is_accepted))
        entries = accepted + _entries(memory, _keys(plan, state, is_unfinished))
        notes = [*(state.get("notes") or []), *_cut_off(plan, state)]
        status = _status(plan, state, accepted)
        allowance = Allowance(ledger, Account(SUPERVISOR, is_summary=True))
        ended: dict[str, Any] = {}
        try:
            with explaining():
                answer = await supervisor.answer(
                    ModelCalls(bridge, allowance, calls, invocation.emit), state["task"], entries, notes, config
                )
        except BudgetSpentError:
            answer, status = Answer(assembled(entries, notes), {}), "limited"
            ended = {"limited_by": "budget"}
        await ledger.flush(bridge)
        invocation.emit(Answered(answer.text, status))
        told = {"answer": answer.text, "usage": answer.usage, "notes": [*notes, *answer.notes]}
        return {**told, "phase": "end", "status": status, **ended}

    return BridgedNode("summarize", write)


def is_accepted(outcome: dict[str, Any]) -> bool:
    """Whether the result stands."""
    return bool(outcome["status"] == "succeeded")


def is_unfinished(outcome: dict[str, Any]) -> bool:
    """Whether a limit ended the attempt: what it has was paid for, and is used."""
    return bool(outcome.get("limit"))


def _cut_off(plan: Plan, state: State) -> list[str]:
    """What of the accepted results is not whole, as sentences."""
    incomplete = [outcome for outcome in _outcomes(plan, state) if is_accepted(outcome) and outcome.get("error")]
    return [f"{o['id']} ({plan.by_id[o['id']].description}): {o['error']}" for o in incomplete]


def _keys(plan: Plan, state: State, counts: Callable[[dict[str, Any]], bool]) -> list[str]:
    """Keys of the results that count, in the plan's order."""
    return [outcome["key"] for outcome in _outcomes(plan, state) if counts(outcome)]


def _outcomes(plan: Plan, state: State) -> list[dict[str, Any]]:
    """The outcomes that belong to the plan as it is now, in its order."""
    known = state.get("outcomes") or {}
    found = (known.get(task.id) for task in plan.sub_tasks)
    return [outcome for outcome in found if outcome is not None and outcome["key"] == plan.keys[outcome["id"]]]


def _entries(memory: SharedMemory, keys: list[str]) -> list[Entry]:
    return [entry for key in keys if (entry := memory.seen(key)) is not None and entry.text]


def _status(plan: Plan, state: State, entries: list[Entry]) -> str:
    decided = state.get("status", "running")
    if decided != "running":
        return decided
    return "done" if len(entries) == len(plan.sub_tasks) else "failed"
