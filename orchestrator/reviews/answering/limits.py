"""Limits: the budget that a review asks about, and the new limit that a person types."""

import math
from typing import Any

from orchestrator.budget.amounts import amount, is_money
from orchestrator.budget.budget import DIMENSIONS
from orchestrator.reviews.review import Review


def is_budget(review: Review) -> bool:
    """True if a review asks about a spent budget."""
    return review.kind == "steer" and "budget" in review.subject


def most_used_limit(review: Review) -> str:
    """Return the name of the limit that is used most: it is the one that ended the run."""
    budget, spent = review.subject["budget"], review.subject["spent"]
    used = {name: spent[name] / budget[name] for name in spent if budget.get(name)}
    return max(used, key=used.__getitem__) if used else "tokens"


def example_limit(review: Review) -> str:
    """Return an amount that raises the limit which was reached, as a person types it: twice as much."""
    name, budget, spent = most_used_limit(review), review.subject["budget"], review.subject["spent"]
    twice = 2 * max(budget.get(name) or 0, spent.get(name) or 0)
    if name == "cost_usd":
        return f"${twice:.4g}"
    number = math.ceil(twice)
    return f"{number // 1000}k" if number and number % 1000 == 0 else str(number or 1)


def typed_limit(review: Review, typed: str) -> dict[str, Any] | None:
    """Return the limit that a typed amount raises, as the data of an edit; None if no amount was typed.

    Args:
        review: The review of a spent budget.
        typed: Such as `500k`, `$5`, or a bare number, which is the limit that was reached.

    Raises:
        ValueError: It begins like an amount and is none.
    """
    text = typed.strip()
    if text[:1] not in "+-$.0123456789" or not text:
        return None
    name, number = most_used_limit(review), amount(text)
    lower = text.lower()
    if is_money(text):
        name = "cost_usd"
    elif "token" in lower or (name in ("cost_usd", "wall_clock_s") and lower.endswith(("k", "m"))):
        name = "tokens"  # nobody means so many thousand dollars, or seconds
    assert name in DIMENSIONS
    return {name: int(number) if number is not None and number.is_integer() else number}
