"""CancelOrder: the order of a human that ends a run, and reading it; see `reviews.cancellation`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.concurrency import Bridge
from orchestrator.persistence.namespaces import ROOT
from orchestrator.persistence.rows.pages import read_keys

if TYPE_CHECKING:
    from orchestrator.persistence.rows.pages import Rows

ORDERS = (ROOT, "cancel")
OBEYED = (ROOT, "cancelled")
"""The orders that have ended runs, one a thread."""

DRAINED = (ROOT, "drained")
"""How far the run of a bare graph has obeyed the last order that reached it."""

_ANY = "any "


@dataclass(frozen=True)
class CancelOrder:
    """An order to cancel a run.

    Args:
        run: The run, as its thread's lease names it, or a name that `for_any_run` has made.
        by: The user who gave the order; empty where the system has none.
        beat: How often the order was repeated.
    """

    run: str
    by: str = ""
    beat: int = 0

    @classmethod
    def parse(cls, row: object) -> "CancelOrder":
        """Read the row of an order. One of another shape names no run."""
        fields = row if isinstance(row, Mapping) else {}
        beat = fields.get("beat", 0)
        return cls(str(fields.get("run", "")), str(fields.get("by", "")), beat if isinstance(beat, int) else 0)

    @staticmethod
    def for_any_run(name: str) -> str:
        """Return what an order names that is for whatever runs on the thread without a lease.

        Args:
            name: Tells the order from all others.
        """
        return _ANY + name

    @property
    def is_for_any_run(self) -> bool:
        """True if it names whatever runs on the thread without a lease."""
        return self.run.startswith(_ANY)

    def plain(self) -> dict[str, Any]:
        """Return the row of the order."""
        return {"run": self.run, "by": self.by} | ({"beat": self.beat} if self.beat else {})

    def __str__(self) -> str:
        return f"cancelled by {self.by}" if self.by else "cancelled"


async def find_order(bridge: Bridge, store: "Rows", namespace: tuple[str, ...], thread_id: str) -> CancelOrder | None:
    """Return the order in a thread's row of a namespace; None if there is no row."""
    [row] = await read_keys(bridge, store, namespace, [thread_id])
    return None if row is None else CancelOrder.parse(row.value)


async def last_cancelled(bridge: Bridge, store: "Rows", thread_id: str) -> CancelOrder | None:
    """Return the order that ended the thread's last run; None if something else ended it."""
    return await find_order(bridge, store, OBEYED, thread_id)
