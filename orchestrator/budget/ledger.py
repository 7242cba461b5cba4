"""Ledger: reserves the worst case of every call before it is sent, and settles it by what was reported.

Checking what is left and paying afterwards does not hold: all workers check before any of them has paid. Here the
check and the reservation are one step under a lock, so the sum of what was spent and what is reserved never passes a
limit. A call that does not fit waits while others under way may give something back, and is not sent otherwise.

Durable, one row for each agent: a reservation is on disk before its call is sent. A process that is killed leaves
its reservations behind, and whoever resumes the thread counts them as spent: the calls may have been paid for.
Without a limit the rows only tell what was spent, and are written once in a while.
The thread's lease makes sure that only one process writes.
"""

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal

from langgraph.store.base import BaseStore

from orchestrator.budget.accounts import Account, Accounts, Reservation
from orchestrator.budget.budget import Budget, BudgetSpentError
from orchestrator.budget.headroom import exceeded_limit, headroom, largest_fitting
from orchestrator.budget.ledger_store import BUDGET_ROW, amounts_of, read_rows, row_op, row_value
from orchestrator.budget.prompt_margins import PromptMargins
from orchestrator.budget.spend import Spend
from orchestrator.concurrency import Bridge, Waiter

_CROWD = 2  # calls at once when little is left
_REPORT_S = 3.0  # how much time what was spent may be behind on disk, where nothing is limited
Stage = Literal["", "warn", "short", "spent"]
_STAGES: tuple[Stage, ...] = ("", "warn", "short", "spent")


class Ledger:
    """What a run may spend, has spent and has reserved.

    Args:
        budget: The limits, when none are recorded on the thread.
        store: Where it is kept.
        thread_id: The thread.
        write_lock: Orders the writes; of the bridge's kind.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        budget: Budget,
        store: BaseStore,
        thread_id: str,
        write_lock: AbstractAsyncContextManager[None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.budget = budget
        self.asked = ""
        self.margins = PromptMargins()
        self._store = store
        self._thread_id = thread_id
        self._run = ""
        self._accounts = Accounts()
        self._waiters: list[Waiter] = []
        self._lock = threading.Lock()
        self._write_lock = write_lock
        self._clock = clock
        self._began = clock()
        self._seconds_before = 0.0
        self._ids = itertools.count()
        self._written = 0
        self._written_at = self._began
        self._told: Stage = ""
        self._loaded = False

    # -- what is durable ------------------------------------------------------------------------------------------

    async def load(self, bridge: Bridge) -> None:
        """Reads what the thread has spent so far; once. Reservations that nobody settled count as spent."""
        if self._loaded:
            return
        async with self._write_lock:
            if self._loaded:
                return
            rows = await read_rows(bridge, self._store, self._thread_id)
            with self._lock:
                self._take(rows)
                self._loaded = True

    def _take(self, rows: Mapping[str, dict[str, Any]]) -> None:
        for agent, value in rows.items():
            if agent == BUDGET_ROW:
                self.budget = Budget.parse(value["budget"])
                self.asked, self._run = value.get("asked", ""), value.get("run", "")
                self.margins = PromptMargins(value.get("margins"))
                continue
            for sub_task_id, model, amount in amounts_of(value):
                self._accounts.spend(Account(agent, sub_task_id), model, amount)
            self._seconds_before = max(self._seconds_before, float(value.get("seconds", 0)))
        self._written = self._accounts.changes

    async def count_tool_call(self, bridge: Bridge, account: Account) -> None:
        """Books the call of a tool, before it is made; durable where tool calls are limited.

        Raises:
            BudgetSpentError: There is none left.
        """
        one = Spend(tool_calls=1)
        with self._lock:
            if (error := self._exceeded(account, one)) is not None:
                raise error
            self._accounts.spend(account, "", one)
        if self.budget.tool_calls is not None:
            await self.flush(bridge)

    async def set_budget(self, bridge: Bridge, budget: Budget) -> None:
        """Sets the limits, durably; whoever was asked about them has answered. Wakes those who wait for room."""
        self.budget, self.asked = budget, ""
        await self._write_budget(bridge)
        self._wake()

    async def ask(self, bridge: Bridge, what: str) -> None:
        """Notes, durably, that a human is asked how to go on, and why."""
        if not self.asked:
            self.asked = what
            await self._write_budget(bridge)

    async def _write_budget(self, bridge: Bridge) -> None:
        value: dict[str, Any] = {"budget": self.budget.plain(), "run": self._run}
        if self.asked:
            value["asked"] = self.asked
        if margins := self.margins.plain():
            value["margins"] = margins
        async with self._write_lock:
            await bridge.batch(self._store, [row_op(self._thread_id, BUDGET_ROW, value)])

    async def flush(self, bridge: Bridge) -> None:
        """Make all changes so far durable, those of concurrent callers included."""
        mine = self._accounts.changes
        async with self._write_lock:
            with self._lock:
                if self._written >= mine:
                    return
                now, rows = self._accounts.changes, self._accounts.changed_since(self._written)
                ops = [row_op(self._thread_id, agent, row_value(row, self.seconds)) for agent, row in rows.items()]
            await bridge.batch(self._store, ops)
            self._written, self._written_at = now, self._clock()

    # -- reserving and settling -----------------------------------------------------------------------------------

    async def reserve(self, bridge: Bridge, account: Account, model: str, worst: Spend, least: Spend) -> Reservation:
        """Sets an amount aside; durable when it returns.

        Args:
            bridge: How to wait and to write.
            account: Who spends.
            model: Name of the model; empty for a tool.
            worst: What the call may cost at most, as the caller would like it.
            least: The same with the shortest answer that is of any use. When the first does not fit and nobody else
                has anything under way, as much as fits is reserved.

        Raises:
            BudgetSpentError: Not even the least fits.
        """
        while True:
            waiter = bridge.waiter()
            with self._lock:
                found = self._try(account, model, worst, least, waiter)
            if found is not None:
                break
            await waiter.wait()
        if self.budget.is_limited:
            await self.flush(bridge)
        return found

    def _try(self, account: Account, model: str, worst: Spend, least: Spend, waiter: Waiter) -> Reservation | None:
        """A reservation, or None after taking the waiter in. Holds the lock, so check and reservation are one."""
        under_way = self._accounts.under_way
        lacking = self._exceeded(account, worst)
        crowded = under_way >= _CROWD and self.stage() in ("short", "spent")
        if crowded or (lacking and under_way and not self._exceeded(account, least, with_reserved=False)):
            self._waiters.append(waiter)
            return None
        if lacking:
            if (error := self._exceeded(account, least)) is not None:
                raise error
            worst = largest_fitting(worst, least, lambda amount: self._exceeded(account, amount) is None)
        made = Reservation(str(next(self._ids)), account, model, worst)
        self._accounts.open(made)
        return made

    def _exceeded(self, account: Account, amount: Spend, *, with_reserved: bool = True) -> BudgetSpentError | None:
        """Return the limit that an account would pass by spending an amount, or None if the amount fits."""
        if not self.budget.is_limited:
            return None
        left = self.time_left(account)
        if left is not None and left <= 0:
            return BudgetSpentError("wall_clock_s", "run", self.seconds, self.budget.wall_clock_s or 0)
        return exceeded_limit(self.budget, self._accounts, account, amount, with_reserved=with_reserved)

    async def settle(self, bridge: Bridge, reservation: Reservation, actual: Spend | None) -> None:
        """Replaces a reservation by what was really spent; where anything is limited, durable when it returns.

        Args:
            bridge: How to write.
            reservation: The call's.
            actual: What was reported; None counts the whole reservation.
        """
        with self._lock:
            self._accounts.close(reservation, actual)
        self._wake()
        if self.budget.is_limited or self._clock() - self._written_at >= _REPORT_S:
            await self.flush(bridge)

    def _wake(self) -> None:
        with self._lock:
            waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.wake()

    # -- what is left ---------------------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """For how long the run has been running, in this process and before."""
        return self._seconds_before + self._clock() - self._began

    def time_left(self, account: Account) -> float | None:
        """Seconds until the limit of time; None without one."""
        limit = self.budget.wall_clock_s
        if limit is None:
            return None
        return max(0.0, (limit if account.is_summary else limit * (1 - self.budget.summary)) - self.seconds)

    def left(self, account: Account, dimension: str, *, with_reserved: bool = True, of_run: bool = True) -> int | None:
        """What this account could reserve now; None without a limit.

        Args:
            account: Whose.
            dimension: `tokens`, `nano_usd`, `model_calls` or `tool_calls`.
            with_reserved: Whether what is reserved counts as gone.
            of_run: Whether the limit of the run counts, or only the shares of the agent and the sub-task.
        """
        with self._lock:
            return headroom(self.budget, self._accounts, account, dimension, with_reserved=with_reserved, of_run=of_run)

    @property
    def spent(self) -> Spend:
        """What the run has spent; reservations not counted."""
        return self._accounts.spent[("run", "")]

    @property
    def used_share(self) -> float:
        """How much is used of the limit that is nearest, 0 to 1 and perhaps a little over."""
        used = self.spent
        shares = [getattr(used, name) / limit for name, limit in self.budget.limits().items() if limit]
        if self.budget.wall_clock_s is not None:
            shares.append(self.seconds / self.budget.wall_clock_s)
        return max(shares, default=0.0)

    def stage(self) -> Stage:
        """How far the run is in its budget."""
        budget = self.budget
        if not budget.is_limited:
            return ""
        share = self.used_share
        if share >= 1:
            return "spent"
        return "short" if share >= budget.shrink_at else "warn" if share >= budget.warn_at else ""

    def new_stage(self) -> Stage:
        """The stage, if it is one that was not told of yet; otherwise empty."""
        with self._lock:
            now = self.stage()
            if _STAGES.index(now) <= _STAGES.index(self._told):
                return ""
            self._told = now
            return now
