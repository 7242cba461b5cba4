"""Headroom: the part of a budget that an account can still use.

Pure arithmetic on a budget and its accounts, without a lock: the ledger calls it under its own.
"""

from collections.abc import Callable

from orchestrator.budget.accounts import Account, Accounts
from orchestrator.budget.budget import Budget, BudgetSpentError
from orchestrator.budget.spend import Spend


def limited_scopes(budget: Budget, account: Account) -> list[tuple[tuple[str, str], float]]:
    """Return the totals that limit an account, each with its share of the budget."""
    run, agent, sub_task = account.scopes()
    scopes = [(run, 1.0)]
    if account.agent in budget.workers:
        scopes.append((agent, budget.workers[account.agent]))
    if account.sub_task_id and budget.sub_task < 1:
        scopes.append((sub_task, budget.sub_task))
    return scopes


def exceeded_limit(
    budget: Budget, accounts: Accounts, account: Account, amount: Spend, *, with_reserved: bool = True
) -> BudgetSpentError | None:
    """Return the limit that an account would pass by spending an amount, or None if the amount fits.

    Args:
        budget: The limits.
        accounts: Amounts spent and reserved so far.
        account: The account that would spend.
        amount: The amount.
        with_reserved: Count open reservations as spent.
    """
    kept = {} if account.is_summary else budget.kept_back()
    for scope, share in limited_scopes(budget, account):
        used = accounts.used(scope, with_reserved=with_reserved)
        for dimension, limit in budget.limits(share).items():
            usable = limit - (kept.get(dimension, 0) if scope[0] == "run" else 0)
            # An amount that needs none of a dimension fits, even if that dimension is spent.
            wanted = getattr(amount, dimension)
            # Endpoints can report more than was reserved. A limit of tokens that was passed in this way must not refuse
            # a tool call, which needs none.
            if wanted and getattr(used, dimension) + wanted > usable:
                return BudgetSpentError(dimension, scope[1] or "run", used, usable)
    return None


def headroom(
    budget: Budget,
    accounts: Accounts,
    account: Account,
    dimension: str,
    *,
    with_reserved: bool = True,
    of_run: bool = True,
) -> int | None:
    """Return the most that an account can still spend in one dimension, or None without a limit.

    Args:
        budget: The limits.
        accounts: Amounts spent and reserved so far.
        account: The account that would spend.
        dimension: `tokens`, `nano_usd`, `model_calls` or `tool_calls`.
        with_reserved: Count open reservations as spent.
        of_run: Count the limit of the run; otherwise only the shares of the agent and the sub-task.
    """
    if dimension not in budget.limits():
        return None
    kept = 0 if account.is_summary else budget.kept_back().get(dimension, 0)
    remainders = [
        budget.limits(share)[dimension]
        - getattr(accounts.used(scope, with_reserved=with_reserved), dimension)
        - (kept if scope[0] == "run" else 0)
        for scope, share in limited_scopes(budget, account)
        if of_run or scope[0] != "run"
    ]
    return max(0, min(remainders)) if remainders else None


def largest_fitting(worst: Spend, least: Spend, fits: Callable[[Spend], bool]) -> Spend:
    """Return the largest amount between two that fits; the two differ in the length of the answer only.

    Args:
        worst: The amount with the longest answer.
        least: The amount with the shortest useful answer, which fits.
        fits: True for an amount that fits.
    """
    # By halving: several limits and shares hold at once, and the rounded price has no exact inverse.
    low, high = 0, worst.output_tokens - least.output_tokens
    while low < high:
        middle = (low + high + 1) // 2
        if fits(_between(worst, least, middle)):
            low = middle
        else:
            high = middle - 1
    return _between(worst, least, low)


def _between(worst: Spend, least: Spend, extra_tokens: int) -> Spend:
    """Return the least amount with a longer answer; its price is rounded up."""
    span = worst.output_tokens - least.output_tokens
    price_span = worst.nano_usd - least.nano_usd
    # Rounded down, a shortened answer could pass the limit of cost by a nano-dollar.
    extra_price = -(-price_span * extra_tokens // span) if span else 0
    return Spend(
        worst.input_tokens,
        least.output_tokens + extra_tokens,
        worst.model_calls,
        worst.tool_calls,
        least.nano_usd + extra_price,
    )
