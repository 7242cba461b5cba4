"""Accounts: amounts spent and reserved, by agent and sub-task."""

from collections import defaultdict
from dataclasses import dataclass, field

from orchestrator.budget.spend import Spend

SUPERVISOR = "supervisor"


@dataclass(frozen=True)
class Account:
    """An agent that spends, for a sub-task.

    Args:
        agent: The agent's name.
        sub_task_id: The sub-task; empty for the supervisor's own calls.
        is_summary: The call may use the part of the budget that is kept back for the summary.
    """

    agent: str
    sub_task_id: str = ""
    is_summary: bool = False

    def scopes(self) -> tuple[tuple[str, str], ...]:
        """Return the totals that its spending adds to: of the run, of the agent, of the sub-task."""
        return ("run", ""), ("agent", self.agent), ("sub-task", self.sub_task_id)


@dataclass(frozen=True)
class Reservation:
    """An amount set aside for a call under way.

    Args:
        id: Unique in the thread.
        account: The account that pays.
        model: Booked name of the model; empty for a tool.
        worst: The most that the call may cost.
    """

    id: str
    account: Account
    model: str
    worst: Spend


@dataclass
class Row:
    """The amounts of one agent; one row in the store.

    Args:
        spent: Amounts spent, by model and then by sub-task id.
        open: Reservations by id.
        changed: Number of the row's last change. Changes are counted over all rows.
    """

    spent: dict[str, dict[str, Spend]] = field(default_factory=dict)
    open: dict[str, Reservation] = field(default_factory=dict)
    changed: int = 0


class Accounts:
    """All rows of a run, with running totals. Not thread-safe: the ledger holds its lock around every call."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = defaultdict(Row)
        self.spent: dict[tuple[str, str], Spend] = defaultdict(Spend)
        self.reserved: dict[tuple[str, str], Spend] = defaultdict(Spend)
        self.under_way = 0
        self.changes = 0

    def changed_since(self, change: int) -> dict[str, Row]:
        """Return the rows that changed after a change of this number."""
        return {agent: row for agent, row in self.rows.items() if row.changed > change}

    def _change(self, agent: str) -> Row:
        self.changes += 1
        row = self.rows[agent]
        row.changed = self.changes
        return row

    def spend(self, account: Account, model: str, amount: Spend) -> None:
        """Book an amount as spent."""
        row = self._change(account.agent)
        # The row has changed all the same: a closed reservation must not count as spent after a crash.
        if amount == Spend():
            return
        tasks = row.spent.setdefault(model, {})
        tasks[account.sub_task_id] = tasks.get(account.sub_task_id, Spend()) + amount
        for scope in account.scopes():
            self.spent[scope] += amount

    def open(self, reservation: Reservation) -> None:
        """Book a reservation."""
        self._change(reservation.account.agent).open[reservation.id] = reservation
        self.under_way += 1
        for scope in reservation.account.scopes():
            self.reserved[scope] += reservation.worst

    def close(self, reservation: Reservation, actual: Spend | None) -> None:
        """Replace a reservation by the amount really spent; None books all of it as spent."""
        del self.rows[reservation.account.agent].open[reservation.id]
        self.under_way -= 1
        for scope in reservation.account.scopes():
            self.reserved[scope] -= reservation.worst
        self.spend(reservation.account, reservation.model, reservation.worst if actual is None else actual)

    def used(self, scope: tuple[str, str], *, with_reserved: bool = True) -> Spend:
        """Return the amount that a scope has spent, and by default reserved."""
        return self.spent[scope] + self.reserved[scope] if with_reserved else self.spent[scope]
