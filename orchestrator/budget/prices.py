"""Prices of the models of a team: given ones, or else published ones."""

import sys
from collections.abc import Mapping

from langchain_core.language_models import BaseChatModel

from orchestrator.budget.price import FREE, UNPRICED_LOCAL, Price, published_nano_usd
from orchestrator.budget.spend import NANO
from orchestrator.errors import ConfigError
from orchestrator.models.profile import ModelProfile
from orchestrator.models.proxies import is_private_network


def price_is_given(model: BaseChatModel, given: Mapping[str, Price]) -> bool:
    """True if a price was given for a model, by its name or for any model."""
    return "*" in given or ModelProfile.of(model).name in given


def has_public_price(model: BaseChatModel) -> bool:
    """True if the price of a model may be published: it has a name, and is neither free nor on a private network."""
    profile = ModelProfile.of(model)
    return not profile.is_free and profile.name != type(model).__name__ and not is_private_network(profile.url)


def prices_are_read() -> bool:
    """True if published prices are in memory. Reading them takes a second."""
    return "genai_prices" in sys.modules


def booked_name(model: BaseChatModel, given: Mapping[str, Price]) -> str:
    """Return the ledger's name of a model. A suffix marks models to which no published price may apply.

    Args:
        model: The model.
        given: Prices by the model's name; "*" for any model.
    """
    profile = ModelProfile.of(model)
    if profile.is_free:
        return profile.name + FREE
    is_unpriced = not price_is_given(model, given) and is_private_network(profile.url)
    return profile.name + (UNPRICED_LOCAL if is_unpriced else "")


def nano_usd(
    model: BaseChatModel, input_tokens: int, output_tokens: int, given: Mapping[str, Price] | None = None
) -> int | None:
    """Return the price of a call, or None if it is unknown.

    Args:
        model: The model; one in this process costs nothing.
        input_tokens: Tokens of the prompt, all at full price: no discount for cached ones is assumed.
        output_tokens: Tokens of the answer.
        given: Prices by the model's name, which go before published ones; "*" for any model.
    """
    profile = ModelProfile.of(model)
    # Before `is_free`: a given price counts for a model of this process too.
    price = (given or {}).get(profile.name) or (given or {}).get("*")
    if price is not None:
        return round((price.input_usd * input_tokens + price.output_usd * output_tokens) * NANO / 1_000_000)
    if profile.is_free:
        return 0
    return published_nano_usd(profile.name, profile.url, input_tokens, output_tokens)


def check_prices(models: Mapping[str, BaseChatModel], given: Mapping[str, Price]) -> None:
    """Check that a limit of cost can be kept.

    Args:
        models: The models, by the name of the agent or role that uses each.
        given: See `nano_usd`.

    Raises:
        ConfigError: A model has no known price.
    """
    for user, model in models.items():
        if nano_usd(model, 1000, 1000, given) is None:
            name = ModelProfile.of(model).name
            raise ConfigError(
                f"a limit of cost was set, and the price of '{name}' ({user}) is not known: give it "
                "with --price INPUT,OUTPUT or Budget(prices=…), in USD for a million tokens, or limit tokens instead"
            )
