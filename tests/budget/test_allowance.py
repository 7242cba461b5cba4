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


@pytest.mark.parametrize(
    ("budget", "fits_twice", "fits_once", "dimension"),
    [
        (Budget(tokens=100, summary=0), Spend(50, 0, 1), Spend(50, 1, 1), "tokens"),
        (Budget(model_calls=3, summary=0), Spend(9, 0, 1), Spend(9, 0, 2), "model_calls"),
        (Budget(cost_usd=1e-7, summary=0), Spend(9, 0, 1, 0, 50), Spend(9, 0, 1, 0, 51), "nano_usd"),
    ],
    ids=["tokens", "calls", "cost"],
)
def test_a_call_is_the_last_one_when_a_second_like_it_would_not_fit(
    budget: Budget, fits_twice: Spend, fits_once: Spend, dimension: str
) -> None:
    limited = allowance(budget)
    assert limited.lacks_another(lambda: fits_twice, of_run=True) is None
    lacking = limited.lacks_another(lambda: fits_once, of_run=True)
    assert isinstance(lacking, BudgetSpentError)
    assert lacking.is_of_run
    assert (lacking.dimension, lacking.limit) == (dimension, budget.limits()[dimension])


def test_the_runs_own_limit_is_left_out_where_a_human_can_raise_it() -> None:
    limited = allowance(Budget(tokens=100, summary=0))
    assert limited.lacks_another(lambda: Spend(51, 0, 1), of_run=False) is None


def test_what_others_have_reserved_does_not_make_a_call_the_last_one() -> None:
    limited = allowance(Budget(tokens=100, summary=0))
    assert limited.ledger is not None
    reserved = Spend(60, 0, 1)
    run_blocking(limited.ledger.reserve(BLOCKING, Account("writer", "t2"), "m", reserved, reserved))
    assert limited.lacks_another(lambda: Spend(50, 0, 1), of_run=True) is None
    assert limited.left("tokens") == 40
    assert limited.left("tokens", with_reserved=False) == 100


def test_what_is_left_is_the_least_of_the_run_the_worker_and_the_sub_task() -> None:
    budget = Budget(tokens=1000, summary=0.2, workers={"coder": 0.5}, sub_task=0.3)
    coder = allowance(budget)
    assert coder.left("tokens") == 300
    assert coder.left("model_calls") is None
    reviewer = Allowance(coder.ledger, Account("reviewer"))
    assert reviewer.left("tokens") == 800
    assert reviewer.left("tokens", of_run=False) is None, "it has no share of its own"
    spend(reviewer, Spend(600, 0, 1))
    assert coder.left("tokens") == 200
    assert coder.left("tokens", of_run=False) == 300
    summary = Allowance(coder.ledger, Account("supervisor", is_summary=True))
    assert summary.left("tokens") == 400


def test_an_amount_is_computed_only_where_something_is_limited() -> None:
    def never() -> Spend:
        raise AssertionError("computed")

    assert allowance(Budget()).lacks_another(never, of_run=True) is None
    assert allowance(Budget(tool_calls=1)).lacks_another(never, of_run=True) is None
    assert allowance(Budget(tokens=9)).lacks_another(never, of_run=False) is None


def test_a_run_saves_from_its_share_on_until_the_limit_is_raised() -> None:
    assert not Allowance().is_short
    limited = allowance(Budget(tokens=100, summary=0, shrink_at=0.8))
    for used, is_short in ((79, False), (1, True), (20, True)):
        spend(limited, Spend(used, 0, 1))
        assert limited.is_short is is_short
    assert limited.used_share == 1
    assert limited.ledger is not None
    run_blocking(limited.ledger.set_budget(BLOCKING, limited.budget.raised({"tokens": 1000})))
    assert not limited.is_short


def test_time_is_left_until_the_limit_and_a_share_of_it_is_for_the_summary_alone() -> None:
    now = [0.0]
    ledger = Ledger(
        Budget(wall_clock_s=100, summary=0.2), InMemoryStore(), "thread", BLOCKING.lock(), clock=lambda: now[0]
    )
    summary = Account("supervisor", is_summary=True)
    for seconds, left, left_for_summary in ((0, 80, 100), (30, 50, 70), (90, 0, 10), (120, 0, 0)):
        now[0] = seconds
        assert Allowance(ledger, CODER).time_left == left
        assert Allowance(ledger, summary).time_left == left_for_summary
    assert allowance(Budget(tokens=9)).time_left is None


def test_tool_calls_are_booked_on_its_account() -> None:
    limited = allowance(Budget(tool_calls=2, sub_task=0.5))
    run_blocking(limited.count_tool_call(BLOCKING))
    assert limited.left("tool_calls") == 0
    with pytest.raises(BudgetSpentError, match="the share of t1"):
        run_blocking(limited.count_tool_call(BLOCKING))
