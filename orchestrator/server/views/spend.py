"""Spending over all threads of a database: by thread, by worker and by model."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.budget.price import FREE, UNPRICED_LOCAL, published_nano_usd
from orchestrator.budget.saved.ledger_rows import BUDGET_ROW, amounts_of
from orchestrator.budget.spend import NANO, Spend

_PROBE = 1000  # tokens; prices of very long prompts may be higher


@dataclass
class SpendRow:
    """The spending of one thread, worker or model.

    Args:
        name: Its name.
        amounts: Tokens in, tokens out, model calls and tool calls.
        nano_usd: Billionths of a dollar, with published prices where none were booked.
        unpriced: Tokens of which no price is known.
        threads: The threads that it was part of.
    """

    name: str
    amounts: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    nano_usd: int = 0
    unpriced: int = 0
    threads: set[str] = field(default_factory=set)

    @property
    def cost_usd(self) -> float:
        """The dollars that are known."""
        return self.nano_usd / NANO

    @property
    def amount(self) -> Spend:
        """Its tokens and calls."""
        return Spend(*self.amounts)

    def add(self, thread_id: str, amount: Spend, cost: int | None) -> None:
        """Add an amount.

        Args:
            thread_id: The thread that spent it.
            amount: The amount.
            cost: Its price in billionths of a dollar; None if it is not known.
        """
        # In place: ten thousand threads have some hundred thousand amounts.
        own = self.amounts
        own[0] += amount.input_tokens
        own[1] += amount.output_tokens
        own[2] += amount.model_calls
        own[3] += amount.tool_calls
        self.threads.add(thread_id)
        if cost is None:
            self.unpriced += amount.tokens
        else:
            self.nano_usd += cost

    def take(self, other: "SpendRow") -> None:
        """Add all of another row."""
        self.amounts = [mine + theirs for mine, theirs in zip(self.amounts, other.amounts, strict=True)]
        self.nano_usd += other.nano_usd
        self.unpriced += other.unpriced
        self.threads |= other.threads


class SpendTables:
    """The spending of threads, summed up in three ways, the largest amounts first.

    Args:
        ledgers: The rows of the ledger of each thread, as they are stored.
    """

    def __init__(self, ledgers: Mapping[str, Mapping[str, Any]]) -> None:
        self._prices: dict[str, tuple[int, int] | None] = {}
        self.total = SpendRow("")
        threads: dict[str, SpendRow] = {}
        workers: dict[str, SpendRow] = {}
        models: dict[str, SpendRow] = {}
        for thread_id, rows in ledgers.items():
            for agent, value in rows.items():
                if agent == BUDGET_ROW or not isinstance(value, Mapping):
                    continue  # limits are no amounts, and a damaged row is told of on the page of its thread
                for _, booked, amount in amounts_of(value):
                    cost = self._cost(booked, amount)
                    model = booked.removesuffix(UNPRICED_LOCAL)
                    for group, name in ((threads, thread_id), (workers, agent), (models, model)):
                        if name:  # tool calls are booked without a model
                            if (row := group.get(name)) is None:
                                row = group[name] = SpendRow(name)
                            row.add(thread_id, amount, cost)
        for row in workers.values():  # each amount is one worker's, or the supervisor's
            self.total.take(row)
        self.threads, self.workers, self.models = _largest(threads), _largest(workers), _largest(models)

    def _cost(self, booked: str, amount: Spend) -> int | None:
        if amount.nano_usd or not amount.tokens:
            return amount.nano_usd
        if booked not in self._prices:
            self._prices[booked] = _price_of(booked)
        price = self._prices[booked]
        if price is None:
            return None
        return round((price[0] * amount.input_tokens + price[1] * amount.output_tokens) / _PROBE)


def _price_of(booked: str) -> tuple[int, int] | None:
    """Return the price of a thousand tokens of prompts, and of answers; None if it is not known."""
    if booked.endswith(FREE):
        return 0, 0
    if booked.endswith(UNPRICED_LOCAL):
        return None
    asked, answered = published_nano_usd(booked, "", _PROBE, 0), published_nano_usd(booked, "", 0, _PROBE)
    return None if asked is None or answered is None else (asked, answered)


def _largest(rows: Mapping[str, SpendRow]) -> list[SpendRow]:
    return sorted(_spent(rows.values()), key=lambda row: (-row.nano_usd, -(row.amounts[0] + row.amounts[1]), row.name))


def _spent(rows: Iterable[SpendRow]) -> list[SpendRow]:
    return [row for row in rows if any(row.amounts) or row.nano_usd]
