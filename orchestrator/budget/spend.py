"""Spend: an amount of what models and tools cost.

The one type for amounts while the engine runs. At rest an amount is a list of numbers in the ledger's rows (`plain`),
and a dict of counters in the state, in outcomes and in events (`usage`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NANO = 1_000_000_000
Usage = dict[str, int]
"""Tokens and calls by name. Plain integers, so that LangGraph can save them and a reducer can add them up."""


@dataclass(frozen=True, slots=True)
class Spend:
    """An amount.

    Args:
        input_tokens: Tokens of prompts.
        output_tokens: Tokens of answers.
        model_calls: Requests to models.
        tool_calls: Calls of tools.
        nano_usd: US dollars times 10⁻⁹, whole numbers so that sums are exact.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    model_calls: int = 0
    tool_calls: int = 0
    nano_usd: int = 0

    @property
    def tokens(self) -> int:
        """Of prompts and answers together."""
        return self.input_tokens + self.output_tokens

    @property
    def cost_usd(self) -> float:
        """In US dollars."""
        return self.nano_usd / NANO

    def __add__(self, other: "Spend") -> "Spend":
        return Spend(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.model_calls + other.model_calls,
            self.tool_calls + other.tool_calls,
            self.nano_usd + other.nano_usd,
        )

    def __sub__(self, other: "Spend") -> "Spend":
        return Spend(
            self.input_tokens - other.input_tokens,
            self.output_tokens - other.output_tokens,
            self.model_calls - other.model_calls,
            self.tool_calls - other.tool_calls,
            self.nano_usd - other.nano_usd,
        )

    def beyond(self, other: "Spend") -> "Spend":
        """Return the amounts by which this one is larger than another."""
        more = self - other
        return Spend(*(max(0, number) for number in (*more.counters().values(), more.nano_usd)))

    def plain(self) -> list[int]:
        """Return the numbers as a short list, without zeros at its end."""
        # A row is written for every paid call, and most amounts end in zeros: no tool call, no cost.
        numbers = [self.input_tokens, self.output_tokens, self.model_calls, self.tool_calls, self.nano_usd]
        while numbers and not numbers[-1]:
            numbers.pop()
        return numbers

    @classmethod
    def parse(cls, numbers: Sequence[int]) -> "Spend":
        """Read what `plain` returned."""
        return cls(*numbers)

    def counters(self) -> Usage:
        """Return tokens and calls by name."""
        return {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "model_calls": self.model_calls,
            "tool_calls": self.tool_calls,
        }

    def usage(self) -> Usage:
        """Return the counters that are not zero, as the state keeps them."""
        return {name: count for name, count in self.counters().items() if count}

    @classmethod
    def of_usage(cls, usage: Mapping[str, int]) -> "Spend":
        """Read what `usage` or `counters` returned."""
        # By name: counters that another version has written are left out.
        return cls(
            usage.get("input_tokens", 0),
            usage.get("output_tokens", 0),
            usage.get("model_calls", 0),
            usage.get("tool_calls", 0),
        )


def told_amount(amount: Spend) -> dict[str, int]:
    """Return an amount as the journal tells it, without what is zero."""
    return {name: number for name, number in {**amount.counters(), "nano_usd": amount.nano_usd}.items() if number}


def amount_in(data: Mapping[str, Any]) -> Spend:
    """Return the amount in the data of a record; nothing where the data tells of none."""
    return Spend(**{name: int(number) for name, number in (data.get("spent") or {}).items()})
