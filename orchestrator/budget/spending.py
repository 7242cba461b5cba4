"""Spending: the ledger of a thread, as a person or a script reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.budget.accounts import Accounts
from orchestrator.budget.price import FREE, UNPRICED_LOCAL, published_nano_usd
from orchestrator.budget.saved.ledger_rows import amounts_of, reserved_in
from orchestrator.budget.spend import NANO, Spend


@dataclass(frozen=True)
class Spending:
    """The amounts that a run spent.

    Args:
        total: The whole run, all attempts and repeated requests included.
        by_model: Amounts by the model's name.
        by_worker: Amounts by the agent's name; the supervisor is one of them.
        by_sub_task: Amounts by the sub-task's id, without the supervisor's own calls.
        reserved: The part of the total that was reserved by calls whose end was never seen.
        unpriced: Names of models on a private network without a given price. Published prices do not apply.
    """

    total: Spend = field(default_factory=Spend)
    by_model: dict[str, Spend] = field(default_factory=dict)
    by_worker: dict[str, Spend] = field(default_factory=dict)
    by_sub_task: dict[str, Spend] = field(default_factory=dict)
    reserved: Spend = field(default_factory=Spend)
    unpriced: frozenset[str] = frozenset()

    @classmethod
    def of_rows(cls, rows: Mapping[str, Mapping[str, Any]]) -> "Spending":
        """Sum up the rows of a ledger, by agent."""
        sums: dict[str, dict[str, Spend]] = {"model": {}, "worker": {}, "sub_task": {}}
        total, reserved, unpriced = Spend(), Spend(), set[str]()
        for agent, value in rows.items():
            for task, booked, amount in amounts_of(value):
                total += amount
                model = booked.removesuffix(UNPRICED_LOCAL)  # the suffix is the ledger's own, not for people
                unpriced |= {model} if model != booked else set()
                for group, name in (("model", model), ("worker", agent), ("sub_task", task)):
                    # A tool's row names no model, and the supervisor's own calls have no sub-task.
                    if name:
                        sums[group][name] = sums[group].get(name, Spend()) + amount
            for _, _, amount in reserved_in(value):
                reserved += amount
        return cls(total, sums["model"], sums["worker"], sums["sub_task"], reserved, frozenset(unpriced))

    @classmethod
    def of_accounts(cls, accounts: Accounts) -> "Spending":
        """Return what models have spent so far, by the name of the model only."""
        sums: dict[str, Spend] = {}
        unpriced = set[str]()
        # Copies, since workers in threads add to the dicts meanwhile.
        for row in list(accounts.rows.values()):
            for booked, by_task in list(row.spent.items()):
                model = booked.removesuffix(UNPRICED_LOCAL)
                unpriced |= {model} if model != booked else set()
                if model:
                    sums[model] = sum(list(by_task.values()), sums.get(model, Spend()))
        return cls(sum(sums.values(), Spend()), by_model=sums, unpriced=frozenset(unpriced))

    @property
    def cost_usd(self) -> float | None:
        """The cost of the run; None if the price of a model is unknown."""
        costs = [self.nano_usd_of(name, amount) for name, amount in self.by_model.items()]
        known = [cost for cost in costs if cost is not None]
        return sum(known) / NANO if len(known) == len(costs) else None

    def plain(self) -> dict[str, Any]:
        """Return the JSON-plain form."""
        return {
            **self.total.counters(),
            "cost_usd": _rounded(self.cost_usd),
            "by_model": {
                name: {
                    **s.counters(),
                    "cost_usd": _rounded(None if (c := self.nano_usd_of(name, s)) is None else c / NANO),
                }
                for name, s in self.by_model.items()
            },
            "by_worker": {name: spend.counters() for name, spend in self.by_worker.items()},
            "by_sub_task": {name: spend.counters() for name, spend in self.by_sub_task.items()},
        }

    def nano_usd_of(self, model: str, spend: Spend) -> int | None:
        """Return the booked cost of an amount, or the published price where cost was not limited and so not booked.

        Args:
            model: The name of the model.
            spend: What was spent on it.
        """
        if not spend.nano_usd and f"{model}{FREE}" in self.by_model:
            return 0
        if spend.nano_usd or model.endswith(FREE) or not spend.tokens:
            return spend.nano_usd
        if model in self.unpriced:
            return None
        return published_nano_usd(model, "", spend.input_tokens, spend.output_tokens)

    def __str__(self) -> str:
        cost = self.cost_usd
        price = "" if not cost else f" · ${cost:.4f}"
        return (
            f"{self.total.model_calls} model calls · {self.total.tool_calls} tool calls · "
            f"{self.total.tokens:,} tokens{price}"
        )


def _rounded(dollars: float | None) -> float | None:
    return None if dollars is None else round(dollars, 6)
