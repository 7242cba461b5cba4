"""An allowance: the part of a run's budget that one agent may still use for one sub-task."""

import pytest
from langgraph.store.memory import InMemoryStore

from orchestrator.budget.accounts import Account
from orchestrator.budget.allowance import Allowance
from orchestrator.budget.budget import Budget, BudgetSpentError
from orchestrator.budget.ledger import Ledger
from orchestrator.budget.spend import Spend
from orchestrator.concurrency import BLOCKING, run_blocking

CODER = Account("coder", "t1")


def allowance(budget: Budget) -> Allowance:
    return Allowance(Ledger(budget, InMemoryStore(), "thread", BLOCKING.lock()), CODER)


def spend(account: Allowance, amount: Spend) -> None:
    assert account.ledger is not None
    reservation = run_blocking(account.ledger.reserve(BLOCKING, account.account, "m", amount, amount))
    run_blocking(account.ledger.settle(BLOCKING, reservation, amount))


def test_without_a_ledger_nothing_is_limited_and_nothing_is_counted() -> None:
    free = Allowance()
    assert free.left("tokens") is None
    assert free.time_left is None
    assert free.used_share == 0
    assert free.window(8000) == 8000
    assert free.lacks_another(lambda: Spend(10**9), of_run=True) is None
    run_blocking(free.count_tool_call(BLOCKING))


def test_the_window_is_a_share_of_the_tokens_left_but_never_tiny_and_never_above_the_models_own() -> None:
    limited = allowance(Budget(tokens=10_000, summary=0))
    assert limited.window(8000) == 5000
    assert limited.window(4000) == 4000
    spend(limited, Spend(9900, 0, 1))
    assert limited.window(8000) == 512


def test_a_call_is_the_last_one_when_a_second_like_it_would_not_fit() -> None:
    limited = allowance(Budget(tokens=100, summary=0))
    assert limited.lacks_another(lambda: Spend(50, 0, 1), of_run=True) is None
    lacking = limited.lacks_another(lambda: Spend(51, 0, 1), of_run=True)
    assert isinstance(lacking, BudgetSpentError)
    assert lacking.dimension == "tokens"


def test_the_runs_own_limit_is_left_out_where_a_human_can_raise_it() -> None:
    limited = allowance(Budget(tokens=100, summary=0))
    assert limited.lacks_another(lambda: Spend(51, 0, 1), of_run=False) is None


def test_an_amount_is_computed_only_where_something_is_limited() -> None:
    def never() -> Spend:
        raise AssertionError("computed")

    assert allowance(Budget()).lacks_another(never, of_run=True) is None
    assert allowance(Budget(tool_calls=1)).lacks_another(never, of_run=True) is None
    assert allowance(Budget(tokens=9)).lacks_another(never, of_run=False) is None


def test_tool_calls_are_booked_on_its_account() -> None:
    limited = allowance(Budget(tool_calls=2, sub_task=0.5))
    run_blocking(limited.count_tool_call(BLOCKING))
    assert limited.left("tool_calls") == 0
    with pytest.raises(BudgetSpentError, match="the share of t1"):
        run_blocking(limited.count_tool_call(BLOCKING))
