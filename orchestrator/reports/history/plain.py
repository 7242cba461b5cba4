"""The JSON-plain form of a history."""

from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

from orchestrator.budget.spend import Spend


def plain_amount(amount: Spend) -> dict[str, Any]:
    """Return an amount with the names that the usage of a run has; `cost_usd` is None where no price is known."""
    return {**amount.counters(), "cost_usd": amount.cost_usd if amount.nano_usd else None}


def plain_history(part: Any) -> Any:
    """Return a history, or a part of one, as JSON-plain data.

    Times are texts in UTC. Whatever has an amount of its own has it under `spent`.
    """
    if isinstance(part, Spend):
        return plain_amount(part)
    if isinstance(part, datetime):
        return part.isoformat()
    if is_dataclass(part):
        form = {each.name: plain_history(getattr(part, each.name)) for each in fields(part)}
        # Of attempts and tasks the amount is a sum, and no field.
        return form if "spent" in form or not hasattr(part, "spent") else {**form, "spent": plain_history(part.spent)}
    if isinstance(part, list | tuple):
        return [plain_history(each) for each in part]
    if isinstance(part, dict):
        return {name: plain_history(each) for name, each in part.items()}
    return part
