"""Amounts that the journal tells of: what each model call has spent."""

from collections import defaultdict
from dataclasses import dataclass, field

from langgraph.store.base import BaseStore

from orchestrator.budget.spend import Spend, amount_in, told_amount
from orchestrator.concurrency import Bridge
from orchestrator.journal.fact import Fact
from orchestrator.journal.reading import read_kinds
from orchestrator.journal.record import JournalRecord

_CALLS = ("model_answered", "model_failed", "model_lost")


@dataclass(frozen=True)
class Told:
    """The spending of a thread's last task, as its journal tells it.

    Args:
        amounts: Amounts by agent, sub-task and booked model.
        settled: The reservations of calls that were answered or failed.
        unsettled: The calls that were made, and of whose end nothing is told: agent, sub-task and booked model by
            reservation.
    """

    amounts: dict[tuple[str, str, str], Spend] = field(default_factory=lambda: defaultdict(Spend))
    settled: set[str] = field(default_factory=set)
    unsettled: dict[str, tuple[str, str, str]] = field(default_factory=dict)


async def read_told(bridge: Bridge, store: BaseStore, thread_id: str) -> Told:
    """Read what the journal of a thread tells of the spending of its last task."""
    told = Told()
    # A journal has several times as many records of other kinds.
    for record in await read_kinds(bridge, store, thread_id, ("run_began", "model_asked", *_CALLS)):
        if record.kind == "run_began":  # a task begins with a ledger of its own
            told = Told()
        elif record.kind == "model_asked":
            told.unsettled[str(record.data.get("call", ""))] = _payer(record)
        elif record.kind in _CALLS:
            call = str(record.data.get("call", ""))
            told.amounts[_payer(record)] += amount_in(record.data)
            told.unsettled.pop(call, None)
            if record.kind != "model_lost":  # of a lost call nobody knows what was spent
                told.settled.add(call)
    return told


def _payer(record: JournalRecord) -> tuple[str, str, str]:
    data = record.data
    return str(data.get("agent", "")), record.sub_task, str(data.get("booked", data.get("model", "")))


def lost_call(agent: str, reservation: str, sub_task_id: str, booked: str, amount: Spend) -> Fact:
    """Return what is told, once, of a call that a killed process had reserved and not settled."""
    data = {"agent": agent, "booked": booked, "call": reservation, "spent": told_amount(amount)}
    return Fact("model_lost", sub_task_id, key=f"lost {reservation}", data=data)
