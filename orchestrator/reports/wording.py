"""Words of the commands about what happened: amounts, times, calls."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from orchestrator.budget.spend import Spend
from orchestrator.text import shorten

WAIT_WORDS = {
    "slot": "a free slot",
    "human": "a human",
    "rate": "the rate limit",
    "service": "the service of the model",
}
"""The cause for which a sub-task waits, by the reason of the wait. Of a dependency, its name says enough."""


def amount_text(amount: Spend) -> str:
    """Return tokens, and dollars where a price is known."""
    # An amount without a price is 0 dollars in the ledger, which would read as free.
    dollars = f", ${amount.cost_usd:.4f}" if amount.nano_usd else ""
    return f"{amount.tokens:,} tokens{dollars}"


def seconds_text(seconds: float) -> str:
    """Return a duration as people say it."""
    if seconds < 60:
        return f"{max(0.0, seconds):.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def clock_text(at: datetime) -> str:
    """Return the time of the day where the reader is."""
    return f"{at.astimezone():%H:%M:%S}"


def called(tool: str, args: Mapping[str, Any], most: int | None = None) -> str:
    """Return a call as code, cut to `most` characters of arguments."""
    # As JSON, not as Python: a worker's arguments came as JSON.
    text = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False, default=str)}" for name, value in args.items())
    return f"{tool}({text if most is None else shorten(text, most)})"
