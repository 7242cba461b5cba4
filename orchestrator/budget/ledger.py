"""Ledger: reserves the worst case of every call before it is sent, and settles it by the reported usage.

Invariants:
- Amounts spent and reserved never pass a limit together. Check and reservation are one step under a lock, since
  parallel workers would otherwise all check before any of them has paid.
- Where calls are reserved (`Budget.reserves_at`), a reservation is on disk before its call is sent. A killed process
  leaves its reservations behind, and a resumed run counts them as spent: the calls may have been paid for.
- Only one process writes: it holds the thread's lease.

A call that does not fit waits while calls under way may give something back; otherwise it is not sent.
"""

import itertools
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, Literal

from langgraph.store.base import BaseStore

from orchestrator.budget.accounts import Account, Accounts, Reservation
from orchestrator.budget.budget import Budget, BudgetSpentError
from orchestrator.budget.headroom import exceeded_limit, headroom, largest_fitting
from orchestrator.budget.ledger_store import row_op, row_value
from orchestrator.budget.prompt_margins import PromptMargins
from orchestrator.budget.saved.ledger_rows import BUDGET_ROW, read_rows, reservations_in, spent_in
from orchestrator.budget.spend import Spend, told_amount
from orchestrator.budget.told_amounts import Told, lost_call, read_told
from orchestrator.concurrency import Bridge, Waiter
from orchestrator.journal.fact import Fact
from orchestrator.journal.journal import Journal
from orchestrator.persistence.damage import UNREADABLE_ERRORS, unreadable_thread

_CROWD = 2  # calls under way at once when little is left
_REPORT_S = 3.0  # seconds between writes where nothing is reserved
Stage = Literal["", "warn", "short", "spent"]
# Reservations of this process. A cancelled `graph.invoke` leaves requests behind, and the thread may go on beside them.
_UNDER_WAY: set[str] = set()
_STAGES: tuple[Stage, ...] = ("", "warn", "short", "spent")


class Ledger:
    """The amounts that a run may spend, has spent and has reserved.

    Args:
        budget: The limits, when none are recorded on the thread.
        store: Keeps the rows.
        thread_id: The thread.
        write_lock: Orders the writes; of the bridge's kind.
        clock: Seconds, monotonic.

    Attributes:
        accounts: Amounts spent and reserved. Only the ledger changes them.
        journal: The journal of the thread.
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
        self.models: dict[str, Any] = {}
        self._store = store
        self._thread_id = thread_id
        self._run = ""
        self.journal = Journal(store, thread_id)
        self.accounts = Accounts()
        self._waiters: list[Waiter] = []
        self._lock = threading.Lock()
        self._write_lock = write_lock
        self._clock = clock
        self._began = clock()
        self._seconds_before = 0.0
        # With a name of the process: its journal tells of a reservation that a killed process has left behind, once.
        self._ids = (f"{uuid.uuid4().hex[:6]}-{number}" for number in itertools.count())
        self._written = 0
        self._written_at = self._began
        self._announced: Stage = ""
        self._loaded = False

    # -- rows in the store ----------------------------------------------------------------------------------------

    async def load(self, bridge: Bridge) -> None:
        """Read the amounts spent on the thread so far, once. Reservations that were never settled count as spent.

        Raises:
            PersistenceError: The amounts cannot be read.
        """
        if self._loaded:
            return
        async with self._write_lock:
            # A concurrent caller may have loaded the rows meanwhile, and a second time would count them twice.
            if self._loaded:
                return
            rows = await read_rows(bridge, self._store, self._thread_id)
            told = await read_told(bridge, self._store, self._thread_id) if rows else Told()
            with self._lock:
                try:
                    self._load_rows(rows, told)
                except UNREADABLE_ERRORS as error:
                    raise unreadable_thread(self._thread_id, error) from error
                self._loaded = True

    def _load_rows(self, rows: Mapping[str, dict[str, Any]], told: Told) -> None:
        lost: list[tuple[str, str, str, str, Spend]] = []
        for agent, value in rows.items():
            if agent == BUDGET_ROW:
                self.budget = Budget.parse(value["budget"])
                self.asked, self._run = value.get("asked", ""), value.get("run", "")
                self.margins = PromptMargins(value.get("margins"))
                self.models = value.get("models") or {}
                continue
            for sub_task_id, model, amount in spent_in(value):
                self.accounts.spend(Account(agent, sub_task_id), model, amount)
            for reservation, (sub_task_id, model, amount) in reservations_in(value):
                if reservation in told.settled:
                    continue
                self.accounts.spend(Account(agent, sub_task_id), model, amount)
                lost.append((agent, reservation, sub_task_id, model, amount))
                told.unsettled.pop(reservation, None)
            # Each row holds the run's seconds at its own last write. The largest number is the newest.
            self._seconds_before = max(self._seconds_before, float(value.get("seconds", 0)))
        self._written = self.accounts.changes  # the first flush must not write back what was just read
        # The journal may know more: without limits, rows are written every few seconds only.
        for (agent, sub_task_id, model), amount in told.amounts.items():
            booked = self.accounts.rows[agent].spent.get(model, {}).get(sub_task_id, Spend())
            if (missing := amount.beyond(booked)) != Spend():
                self.accounts.spend(Account(agent, sub_task_id), model, missing)
        # Without limits, the rows may lack a call that was under way. It may have been paid for too.
        for reservation, (agent, sub_task_id, model) in told.unsettled.items():
            if reservation not in _UNDER_WAY:
                amount = Spend(model_calls=1)
                self.accounts.spend(Account(agent, sub_task_id), model, amount)
                lost.append((agent, reservation, sub_task_id, model, amount))
        for call in lost:
            self.journal.note(lost_call(*call))

    async def count_tool_call(self, bridge: Bridge, account: Account) -> None:
        """Book a tool call before it is made; durable where tool calls are limited.

        Raises:
            BudgetSpentError: No tool call is left.
        """
        # Spent at once, without a reservation: a tool call never costs less than it is booked for.
        one = Spend(tool_calls=1)
        with self._lock:
            if (error := self._exceeded(account, one)) is not None:
                raise error
            self.accounts.spend(account, "", one)
        if self.budget.tool_calls is not None:
            await self.flush(bridge)

    async def set_budget(self, bridge: Bridge, budget: Budget, by: str = "") -> None:
        """Set the limits, durably, close the question about them, and wake the calls that wait for room.

        Args:
            bridge: Reaches the store.
            budget: The limits.
            by: The user who sets them.
        """
        self.budget, self.asked = budget, ""
        await self._write_budget(bridge, Fact("budget_set", by=by, data={"budget": budget.plain()}))
        self._wake()

    async def ask(self, bridge: Bridge, what: str) -> None:
        """Note, durably, that a human is asked how to go on, and why."""
        if not self.asked:
            self.asked = what
            await self._write_budget(bridge)

    async def _write_budget(self, bridge: Bridge, *facts: Fact) -> None:
        value: dict[str, Any] = {"budget": self.budget.plain(), "run": self._run}
        if self.asked:
            value["asked"] = self.asked
        if margins := self.margins.plain():
            value["margins"] = margins
        if self.models:
            value["models"] = self.models
        async with self._write_lock:
            await self.journal.write(bridge, [row_op(self._thread_id, BUDGET_ROW, value)], *facts)

    async def flush(self, bridge: Bridge) -> None:
        """Make all changes so far durable, those of concurrent callers included."""
        own_changes = self.accounts.changes
        if self._written >= own_changes:
            await self.journal.flush(bridge)
            return
        async with self._write_lock:
            with self._lock:
                # A concurrent caller that held the lock first has written these changes too.
                if self._written >= own_changes:
                    return
                now, rows = self.accounts.changes, self.accounts.changed_since(self._written)
                ops = [row_op(self._thread_id, agent, row_value(row, self.seconds)) for agent, row in rows.items()]
            await self.journal.write(bridge, ops)
            self._written, self._written_at = now, self._clock()

    # -- reserving and settling -----------------------------------------------------------------------------------

    async def reserve(self, bridge: Bridge, account: Account, model: str, worst: Spend, least: Spend) -> Reservation:
        """Set an amount aside; durable when it returns, where calls are reserved.

        If the wanted amount does not fit and no call is under way, reserve as much as fits.

        Args:
            bridge: How to wait and to write.
            account: The account that pays.
            model: Booked name of the model; empty for a tool.
            worst: The most that the call may cost, with the longest answer.
            least: The same with the shortest useful answer.

        Raises:
            BudgetSpentError: Not even the least amount fits.
        """
        while True:
            waiter = bridge.waiter()
            with self._lock:
                reservation = self._try_reserve(account, model, worst, least, waiter)
            if reservation is not None:
                break
            await waiter.wait()
        if self.budget.reserves_at(self.used_share):
            await self.flush(bridge)
        return reservation

    def _try_reserve(
        self, account: Account, model: str, worst: Spend, least: Spend, waiter: Waiter
    ) -> Reservation | None:
        """Return a reservation, or None after queueing the waiter. The caller holds the lock."""
        under_way = self.accounts.under_way
        exceeded = self._exceeded(account, worst)
        is_crowded = under_way >= _CROWD and self.stage() in ("short", "spent")
        # Waiting helps only if the least amount fits once the calls under way have given everything back.
        if is_crowded or (exceeded and under_way and not self._exceeded(account, least, with_reserved=False)):
            self._waiters.append(waiter)
            return None
        if exceeded:
            if (error := self._exceeded(account, least)) is not None:
                raise error
            worst = largest_fitting(worst, least, lambda amount: self._exceeded(account, amount) is None)
        reservation = Reservation(next(self._ids), account, model, worst)
        self.accounts.open(reservation)
        _UNDER_WAY.add(reservation.id)
        return reservation

    def _exceeded(self, account: Account, amount: Spend, *, with_reserved: bool = True) -> BudgetSpentError | None:
        """Return the limit that an account would pass by spending an amount, or None if the amount fits."""
        if not self.budget.is_limited:
            return None
        left = self.time_left(account)
        if left is not None and left <= 0:
            return BudgetSpentError("wall_clock_s", "run", self.seconds, self.budget.wall_clock_s or 0)
        return exceeded_limit(self.budget, self.accounts, account, amount, with_reserved=with_reserved)

    async def settle(
        self, bridge: Bridge, reservation: Reservation, actual: Spend | None, fact: Fact | None = None
    ) -> None:
        """Replace a reservation by the amount really spent; durable where calls are reserved.

        Args:
            bridge: How to write.
            reservation: The reservation of the call.
            actual: The reported amount; None books the whole reservation.
            fact: What the journal tells of the call. The amount is added to its data.
        """
        with self._lock:
            if fact is not None:  # first, so that the journal never lacks what a row has
                spent = reservation.worst if actual is None else actual
                self.journal.note(replace(fact, data={**fact.data, "spent": told_amount(spent)}))
            self.accounts.close(reservation, actual)
            _UNDER_WAY.discard(reservation.id)
        # Before the write: there is room in the budget now, and the waiting calls need not wait for the disk.
        self._wake()
        if self.budget.reserves_at(self.used_share) or self._clock() - self._written_at >= _REPORT_S:
            await self.flush(bridge)

    def _wake(self) -> None:
        with self._lock:
            # All of them: whether a call fits depends on its own account and amount, and each tries again.
            waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.wake()

    # -- the rest of the budget -----------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """Seconds that the run has been running, in this process and in earlier ones."""
        return self._seconds_before + self._clock() - self._began

    def time_left(self, account: Account) -> float | None:
        """Return the seconds until the time limit, or None without one. The summary has a share of its own."""
        limit = self.budget.wall_clock_s
        if limit is None:
            return None
        return max(0.0, (limit if account.is_summary else limit * (1 - self.budget.summary)) - self.seconds)

    def left(self, account: Account, dimension: str, *, with_reserved: bool = True, of_run: bool = True) -> int | None:
        """Return the most that an account could reserve now, or None without a limit; see `headroom`."""
        with self._lock:
            return headroom(self.budget, self.accounts, account, dimension, with_reserved=with_reserved, of_run=of_run)

    @property
    def spent(self) -> Spend:
        """The amount that the run has spent, without reservations."""
        return self.accounts.spent[("run", "")]

    @property
    def used_share(self) -> float:
        """The used share of the limit that is nearest: 0 to 1, or a little more."""
        used = self.spent
        shares = [getattr(used, name) / limit for name, limit in self.budget.limits().items() if limit]
        if self.budget.wall_clock_s is not None:
            shares.append(self.seconds / self.budget.wall_clock_s)
        return max(shares, default=0.0)

    def stage(self) -> Stage:
        """Return how far the run is in its budget."""
        budget = self.budget
        if not budget.is_limited:
            return ""
        share = self.used_share
        if share >= 1:
            return "spent"
        return "short" if share >= budget.shrink_at else "warn" if share >= budget.warn_at else ""

    def new_stage(self) -> Stage:
        """Return the budget stage if it changed since the last call, else ""."""
        with self._lock:
            stage = self.stage()
            # A raised budget lowers the stage, and that is no news to warn of.
            if _STAGES.index(stage) <= _STAGES.index(self._announced):
                return ""
            self._announced = stage
            return stage
