"""What the options about limits mean: `--max-tokens`, `--max-cost`, `--max-time`, `--max-calls`, `--price`."""

import re
from typing import Annotated, Any

import typer

from orchestrator.errors import ConfigError

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smh]?)")

MaxTokens = Annotated[int | None, typer.Option("--max-tokens", help="Most tokens, prompts and answers together.")]
MaxCost = Annotated[float | None, typer.Option("--max-cost", help="Most US dollars.")]
MaxTime = Annotated[str | None, typer.Option("--max-time", help="Most time of running: 90 (seconds), 10m or 1h.")]
MaxCalls = Annotated[int | None, typer.Option("--max-calls", help="Most requests to models.")]
Price_ = Annotated[
    str | None, typer.Option("--price", help="INPUT,OUTPUT in USD for a million tokens, where it is not known.")
]
FallbackModel = Annotated[
    list[str] | None,
    typer.Option("--fallback-model", help="Asked when the model cannot be reached; repeat it for more, in order."),
]
EconomyModel = Annotated[
    str | None, typer.Option("--economy-model", help="A cheaper model for when the budget is nearly spent.")
]
RequestsPerMinute = Annotated[
    int | None, typer.Option("--rpm", min=1, help="Most requests a minute to an endpoint, by all workers together.")
]
TokensPerMinute = Annotated[int | None, typer.Option("--tpm", min=1, help="Most tokens a minute, likewise.")]


def budget_of(
    max_tokens: int | None,
    max_cost: float | None,
    max_time: str | None,
    max_calls: int | None,
    price: str | None = None,
) -> dict[str, Any]:
    """The limits that were given, JSON-plain; empty for none.

    Raises:
        ConfigError: An option has no sensible value.
    """
    for name, value in (("--max-tokens", max_tokens), ("--max-cost", max_cost), ("--max-calls", max_calls)):
        if value is not None and value <= 0:
            raise ConfigError(f"{name} must be over 0")
    found: dict[str, Any] = {
        "tokens": max_tokens,
        "cost_usd": max_cost,
        "wall_clock_s": None if max_time is None else _seconds(max_time),
        "model_calls": max_calls,
        "prices": None if price is None else {"*": _price(price)},
    }
    return {name: value for name, value in found.items() if value is not None}


def _seconds(text: str) -> float:
    found = _DURATION.fullmatch(text.strip().lower())
    if found is None or float(found.group(1)) <= 0:
        raise ConfigError(f"--max-time '{text}' is no time: write seconds, or a number with s, m or h, as in 10m")
    return float(found.group(1)) * _UNITS[found.group(2)]


def _price(text: str) -> dict[str, float]:
    try:
        asked, answered = (float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"--price '{text}' is no price: write INPUT,OUTPUT in USD for a million tokens") from None
    if asked < 0 or answered < 0:
        raise ConfigError("--price must not be below 0")
    return {"input_usd": asked, "output_usd": answered}
