"""Price: what a million tokens of a model cost, as given, or as `genai-prices` publishes it, Pydantic's collection."""

from typing import Any

from pydantic import ConfigDict, Field

from orchestrator.budget.spend import NANO
from orchestrator.validation import Checked

FREE = " (embedded)"
"""Suffix of the booked name of a model in this process, which costs nothing."""

UNPRICED_LOCAL = " (local)"
"""Suffix of the booked name of a model on a private network without a given price. It can have the name of a model
with a published price, which must not apply to it."""


class Price(Checked):
    """The price of a model, in US dollars for a million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_usd: float = Field(ge=0)
    output_usd: float = Field(ge=0)


def published_nano_usd(name: str, url: str, input_tokens: int, output_tokens: int) -> int | None:
    """Return the published price of a call, rounded up, or None if no price is published.

    The provider at the address goes before any other provider of a model with this name.

    Args:
        name: The endpoint's name of the model.
        url: The endpoint; empty for OpenAI's.
        input_tokens: Tokens of the prompt.
        output_tokens: Tokens of the answer.
    """
    # Imported at the first use: reading the collection takes a good part of a second.
    from genai_prices import Usage, calc_price

    usage: Any = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
    # A model without an address is at OpenAI's own endpoint.
    providers: list[dict[str, Any]] = [{"provider_api_url": url} if url else {"provider_id": "openai"}, {}]
    for provider in providers:
        try:
            # Rounded up: a cost that is reserved too low could pass the limit.
            return int(calc_price(usage, name, **provider).total_price * NANO) + 1
        except LookupError:
            continue
    return None
