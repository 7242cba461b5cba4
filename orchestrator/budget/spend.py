"""Spend: an amount of what models and tools cost; it adds up."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

NANO = 1_000_000_000


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

    def plain(self) -> list[int]:
        """As a short list of numbers; zeros at its end are left out."""
        numbers = [self.input_tokens, self.output_tokens, self.model_calls, self.tool_calls, self.nano_usd]
        while numbers and not numbers[-1]:
            numbers.pop()
        return numbers

    @classmethod
    def parse(cls, numbers: Sequence[int]) -> "Spend":
        """The opposite of `plain`."""
        return cls(*numbers)


def total(spends: Iterable[Spend]) -> Spend:
    """The sum."""
    found = Spend()
    for spend in spends:
        found += spend
    return found
