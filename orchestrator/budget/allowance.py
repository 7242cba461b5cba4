"""Allowance: the part of a run's budget that one agent may still use for one sub-task."""

from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.budget.accounts import SUPERVISOR, Account
from orchestrator.budget.budget import Budget, BudgetSpentError
from orchestrator.budget.ledger import Ledger
from orchestrator.budget.spend import Spend
from orchestrator.concurrency import Bridge

_LEAST_WINDOW = 512
_OF_A_MODEL_CALL = ("model_calls", "tokens", "nano_usd")
_UNLIMITED = Budget()


@dataclass(frozen=True)
class Allowance:
    """One account's view of the ledger.

    Args:
        ledger: Books the calls; None outside a graph, where nothing is limited.
        account: The account that pays.
    """

    ledger: Ledger | None = None
    account: Account = field(default_factory=lambda: Account(SUPERVISOR))

    @property
    def budget(self) -> Budget:
        """The limits of the run."""
        return self.ledger.budget if self.ledger is not None else _UNLIMITED

    def left(self, dimension: str, *, with_reserved: bool = True, of_run: bool = True) -> int | None:
        """Return the amount that could be reserved now, or None without a limit; see `Ledger.left`."""
        if self.ledger is None:
            return None
        return self.ledger.left(self.account, dimension, with_reserved=with_reserved, of_run=of_run)

    @property
    def reserves(self) -> bool:
        """True if the cost of a call has to be reserved before it is sent."""
        return self.ledger is not None and self.budget.reserves_at(self.ledger.used_share)

    @property
    def time_left(self) -> float | None:
        """Seconds until the run's time limit; None without one."""
        return self.ledger.time_left(self.account) if self.ledger is not None else None

    @property
    def used_share(self) -> float:
        """The used share of the run's budget, 0 to 1."""
        return self.ledger.used_share if self.ledger is not None else 0.0

    @property
    def is_short(self) -> bool:
        """True when the run has to save."""
        return self.ledger is not None and self.ledger.stage() in ("short", "spent")

    def window(self, own: int, share: float = 0.5) -> int:
        """Return the most tokens that a prompt may have.

        Args:
            own: The model's own window, which is never exceeded.
            share: The share of the remaining tokens that a prompt may take.
        """
        left = self.left("tokens")
        return own if left is None else min(own, max(_LEAST_WINDOW, int(left * share)))

    def lacks_another(self, amount: Callable[[], Spend], *, of_run: bool) -> BudgetSpentError | None:
        """Return the limit that two calls of an amount would pass, or None if both fit.

        Args:
            amount: Computes the amount of one call; called only where calls are reserved.
            of_run: Count the limits of the whole run; otherwise only the shares of this worker and sub-task.
        """
        if self.ledger is None or not self.reserves:
            return None
        # Reservations of others are not counted: most of each comes back when its call is settled.
        left = {name: self.left(name, with_reserved=False, of_run=of_run) for name in _OF_A_MODEL_CALL}
        if all(amount_left is None for amount_left in left.values()):
            return None
        needed = amount()
        for dimension, amount_left in left.items():
            # This call and another one: a worker gives its result in the last call that fits, without tools.
            if amount_left is not None and amount_left < 2 * getattr(needed, dimension):
                return BudgetSpentError(dimension, "run", self.ledger.spent, self.budget.limits()[dimension])
        return None

    async def count_tool_call(self, bridge: Bridge) -> None:
        """Book a tool call before it is made.

        Raises:
            BudgetSpentError: No tool call is left.
        """
        if self.ledger is not None:
            await self.ledger.count_tool_call(bridge, self.account)
