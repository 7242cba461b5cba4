"""Account: who spends; what accounts have spent and reserved; and how that is kept in the store."""

from collections import defaultdict
from dataclasses import dataclass, field

from orchestrator.budget.spend import Spend

SUPERVISOR = "supervisor"


@dataclass(frozen=True)
class Account:
    """Who spends: an agent, for a sub-task.

    Args:
        agent: Its name.
        sub_task_id: What for; empty for the supervisor's own calls.
        is_summary: The call may use what is kept back for the summary.
    """

    agent: str
    sub_task_id: str = ""
    is_summary: bool = False

    def scopes(self) -> tuple[tuple[str, str], ...]:
        """The totals that its spending adds to: of the run, of the agent, of the sub-task."""
        return ("run", ""), ("agent", self.agent), ("sub-task", self.sub_task_id)


@dataclass(frozen=True)
class Reservation:
    """An amount that is set aside for a call under way.

    Args:
        id: Unique in the thread.
        account: Whose.
        model: Name of the model; empty for a tool.
        worst: What the call may cost at most.
    """

    id: str
    account: Account
    model: str
    worst: Spend


@dataclass
class Row:
    """What one agent spent, by model and sub-task, and what it has reserved; one row in the store.

    Args:
        spent: By model, then by sub-task id.
        open: Reservations by id.
        changed: The number of its last change, counted over all rows.
    """

    spent: dict[str, dict[str, Spend]] = field(default_factory=dict)
    open: dict[str, Reservation] = field(default_factory=dict)
    changed: int = 0


class Accounts:
    """All rows of a run, with running totals. Not safe by itself: its owner holds a lock."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = defaultdict(Row)
        self.spent: dict[tuple[str, str], Spend] = defaultdict(Spend)
        self.reserved: dict[tuple[str, str], Spend] = defaultdict(Spend)
        self.under_way = 0
        self.changes = 0

    def changed_since(self, change: int) -> dict[str, Row]:
        """The rows that changed after a change of this number."""
        return {agent: row for agent, row in self.rows.items() if row.changed > change}

    def _change(self, agent: str) -> Row:
        self.changes += 1
        row = self.rows[agent]
        row.changed = self.changes
        return row

    def spend(self, account: Account, model: str, amount: Spend) -> None:
        """Books an amount as spent."""
        row = self._change(account.agent)
        if amount == Spend():
            return
        tasks = row.spent.setdefault(model, {})
        tasks[account.sub_task_id] = tasks.get(account.sub_task_id, Spend()) + amount
        for scope in account.scopes():
            self.spent[scope] += amount

    def open(self, reservation: Reservation) -> None:
        """Books a reservation."""
        self._change(reservation.account.agent).open[reservation.id] = reservation
        self.under_way += 1
        for scope in reservation.account.scopes():
            self.reserved[scope] += reservation.worst

    def close(self, reservation: Reservation, actual: Spend | None) -> None:
        """Books what became of a reservation; None for all of it."""
        del self.rows[reservation.account.agent].open[reservation.id]
        self.under_way -= 1
        for scope in reservation.account.scopes():
            self.reserved[scope] -= reservation.worst
        self.spend(reservation.account, reservation.model, reservation.worst if actual is None else actual)

    def used(self, scope: tuple[str, str], *, with_reserved: bool = True) -> Spend:
        """What a scope has spent, and reserved."""
        return self.spent[scope] + self.reserved[scope] if with_reserved else self.spent[scope]
