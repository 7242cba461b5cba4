"""Beginning: what the former task of a thread leaves behind when the next one begins."""

from dataclasses import replace
from typing import Any

from orchestrator.budget.saved.ledger_rows import BUDGET_ROW, read_rows
from orchestrator.budget.spending import Spending
from orchestrator.graph.state import State
from orchestrator.graph.supervision.turn import FINAL, Turn
from orchestrator.memory.conversation import Conversation, kept_results
from orchestrator.memory.reference import Reference
from orchestrator.memory.turns import ConversationTurn, answer_key
from orchestrator.trust import merged


async def keep_former_task(turn: Turn) -> None:
    """Move the former task of the thread into its conversation, or forget all of them if the task begins afresh.

    The state keeps the former run until the first checkpoint of the new one. So a process that is killed in between
    finds its number here again, and the turn under this number already kept.
    """
    memory, bridge = turn.memory, turn.invocation.bridge
    if turn.number == 1:
        await memory.clear(bridge)
        return
    await memory.load(bridge)
    entries = memory.entries()
    kept = [entry for entry in entries if entry.turn]
    former = turn.number - 1
    if memory.seen(answer_key(former)) is None:
        results = kept_results(former, entries)
        rows = await read_rows(bridge, turn.invocation.store, turn.memory_id)
        rows.pop(BUDGET_ROW, None)  # it holds the limits and no amounts
        spending = Spending.of_rows(rows)
        tainted_by = merged(Conversation.of(memory).tainted_by, *(entry.taint for entry in results))
        told = ConversationTurn(
            number=former,
            task=turn.state["planned_task"],
            answer=turn.state.get("answer", ""),
            status=_status(turn.state),
            references=_references(turn.state, former),
            usage=spending.total.counters(),
            cost_usd=spending.cost_usd,
            tainted_by=tainted_by,
        )
        kept += [*results, *told.entries()]
    await memory.clear(bridge, kept)


def _status(state: State) -> str:
    status = state.get("status", "running")
    # A graph may be given another task in the middle of one.
    return status if status in FINAL and state.get("phase") == "end" else "interrupted"


def _references(state: State, number: int) -> tuple[Reference, ...]:
    """Return the references of the former answer, with the names that its results have from now on."""
    forms: list[dict[str, Any]] = state.get("references") or []
    references = map(Reference.parse, forms)
    return tuple(
        reference
        if "." in reference.sub_task_id  # a result of a turn before
        else replace(reference, sub_task_id=f"{number}.{reference.sub_task_id}", key=f"{number}.{reference.key}")
        for reference in references
    )
