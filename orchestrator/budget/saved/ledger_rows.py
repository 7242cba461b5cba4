"""Reading the rows of a ledger: one for each agent, and one for the budget. Stored names keep their form."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.budget.spend import Spend
from orchestrator.concurrency import Bridge
from orchestrator.persistence.namespaces import namespace
from orchestrator.persistence.rows.pages import read_all

if TYPE_CHECKING:
    from orchestrator.persistence.rows.pages import Rows

# Stored in every database: keep these two.
BUDGET_ROW = "budget"
LEDGER = "ledger"

Amount = tuple[str, str, Spend]
"""The id of a sub-task, the booked name of a model, and what was spent on both."""


def amounts_of(value: Mapping[str, Any]) -> Iterator[Amount]:
    """Yield the amounts of a stored row. A reservation that was never settled counts as spent."""
    yield from spent_in(value)
    yield from reserved_in(value)


def spent_in(value: Mapping[str, Any]) -> Iterator[Amount]:
    """Yield the amounts of a stored row that are spent."""
    for model, tasks in value.get("spent", {}).items():
        for task, numbers in tasks.items():
            yield task, model, Spend.parse(numbers)


def reserved_in(value: Mapping[str, Any]) -> Iterator[Amount]:
    """Yield the amounts of a stored row that were reserved and never settled."""
    for _, amount in reservations_in(value):
        yield amount


def reservations_in(value: Mapping[str, Any]) -> Iterator[tuple[str, Amount]]:
    """Yield the reservations of a stored row that were never settled: each id with its amount."""
    for reservation, (task, model, *numbers) in value.get("open", {}).items():
        yield reservation, (task, model, Spend.parse(numbers))


async def read_rows(bridge: Bridge, store: "Rows", thread_id: str) -> dict[str, dict[str, Any]]:
    """Return all rows of a thread by agent, and the row of the budget under its own key."""
    return {item.key: item.value for item in await read_all(bridge, store, namespace(thread_id, LEDGER))}
