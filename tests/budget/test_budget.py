"""Budget: which limits it takes, the part that each account has of them, and the part that is kept for the summary."""

from typing import Any

import pytest

from orchestrator import Budget
from orchestrator.budget.budget import BudgetSpentError
from orchestrator.budget.spend import Spend
from orchestrator.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "refused", "taken"),
    [
        ("tokens", [0, -1], [1]),
        ("cost_usd", [0, -1], [0.001]),
        ("model_calls", [0], [1]),
        ("tool_calls", [-1], [0, 1]),
        ("wall_clock_s", [0, -1], [0.1]),
        ("sub_task", [0, 1.01], [0.01, 1]),
        ("summary", [-0.01, 1], [0, 0.99]),
        ("warn_at", [0, 1.01], [0.01, 1]),
        ("shrink_at", [0, 1.01], [0.01, 1]),
        ("answer_tokens", [15], [16]),
        ("workers", [{"coder": 0}, {"coder": 1.01}, {"coder": -1}], [{"coder": 0.01}, {"coder": 1}]),
    ],
)
def test_a_limit_has_bounds(name: str, refused: list[Any], taken: list[Any]) -> None:
    for value in refused:
        with pytest.raises(ConfigError, match=f"this is no budget: .*{'coder' if name == 'workers' else name}"):
            Budget.parse({name: value})
    for value in taken:
        assert getattr(Budget.parse({name: value}), name) == value


def test_a_misspelt_limit_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="token"):
        Budget.parse({"token": 5})
    with pytest.raises(ConfigError, match="limits"):
        Budget().raised([5])


@pytest.mark.parametrize("name", ["tokens", "cost_usd", "model_calls", "tool_calls", "wall_clock_s"])
def test_any_limit_makes_it_limited_and_those_on_tokens_and_cost_cap_answers(name: str) -> None:
    budget = Budget.parse({name: 5})
    assert budget.is_limited
    assert budget.limits_tokens == (name in ("tokens", "cost_usd"))
    assert not Budget().is_limited
    assert not Budget(sub_task=0.5, workers={"coder": 0.5}).is_limited


def test_a_share_is_rounded_down_to_whole_units_and_has_a_model_call_at_least() -> None:
    budget = Budget(tokens=101, cost_usd=0.01, model_calls=3, tool_calls=3)
    assert budget.limits() == {"tokens": 101, "nano_usd": 10_000_000, "model_calls": 3, "tool_calls": 3}
    limits = budget.limits(0.25)
    assert limits == {"tokens": 25, "nano_usd": 2_500_000, "model_calls": 1, "tool_calls": 0}
    assert all(type(limit) is int for limit in limits.values())
    assert Budget(wall_clock_s=5).limits() == {}


def test_a_share_and_one_model_call_but_no_tool_call_are_kept_for_the_summary() -> None:
    kept = Budget(tokens=101, cost_usd=0.01, model_calls=2, tool_calls=3, summary=0.5).kept_back()
    assert kept == {"tokens": 50, "nano_usd": 5_000_000, "model_calls": 1}
    assert all(type(amount) is int for amount in kept.values())
    assert Budget(model_calls=1).kept_back() == {"model_calls": 0}, "the only call is for the plan"
    assert Budget(tokens=100, model_calls=5, summary=0).kept_back() == {"tokens": 0, "model_calls": 0}


def test_a_raised_budget_keeps_what_is_not_named() -> None:
    budget = Budget(tokens=100, tool_calls=3, summary=0.2)
    for raised in (budget.raised({"tokens": 200}), budget.raised(Budget(tokens=200))):
        assert raised == Budget(tokens=200, tool_calls=3, summary=0.2)
    assert budget.raised({"tokens": None}) == Budget(tool_calls=3, summary=0.2)
    assert Budget.parse(budget.plain()) == budget
    assert Budget.parse(None) == Budget()
    assert Budget().plain() == {}


@pytest.mark.parametrize(
    ("data", "tokens", "dollars"),
    [
        ({"tokens": "500k"}, 500_000, 1.0),
        ("1.5M", 1_500_000, 1.0),
        ("500,000 tokens", 500_000, 1.0),
        (700_000, 700_000, 1.0),
        ({"tokens": "none"}, None, 1.0),
        ("unlimited", None, 1.0),
        ("$5", 100, 5.0),
        ({"cost_usd": "2.50 USD"}, 100, 2.5),
        ({"cost_usd": None}, 100, None),
    ],
)
def test_limits_are_read_as_people_write_them(data: object, tokens: int | None, dollars: float | None) -> None:
    raised = Budget(tokens=100, cost_usd=1.0).raised(data)
    assert (raised.tokens, raised.cost_usd) == (tokens, dollars)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("+200000", "write the whole new limit"),
        ("-5", "write the whole new limit"),
        ("12,34", "no amount"),
        ("1.5", "no whole number"),
        ("5 USD", "cost_usd"),
        ("", "no amount"),
    ],
)
def test_what_is_no_amount_of_tokens_says_what_to_write(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Budget(tokens=text)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=f"this is no budget: tokens: .*{why}"):
        Budget.parse({"tokens": text})


def test_an_empty_budget_lifts_every_limit() -> None:
    assert Budget(tokens=100, tool_calls=3, summary=0.2).raised(Budget()) == Budget(summary=0.2)


def test_the_default_makes_way_for_any_limit_that_is_named_and_a_budget_of_its_own_does_not() -> None:
    default = Budget.default()
    assert (default.tokens, default.strict) == (500_000, False)
    assert default.of_run({"model_calls": 5}) == Budget(model_calls=5)
    assert default.of_run({"tokens": 9000}) == Budget(tokens=9000)
    assert default.of_run({"tokens": None}) == Budget()
    prices = {"*": {"input_usd": 1, "output_usd": 2}}
    assert default.of_run({"prices": prices}).tokens == 500_000
    assert Budget(tokens=70).of_run({"model_calls": 5}) == Budget(tokens=70, model_calls=5)


def test_costs_are_reserved_always_or_when_much_is_used_or_parts_are_limited() -> None:
    assert Budget(tokens=100).reserves_at(0)
    assert not Budget().reserves_at(1)
    late = Budget(tokens=100, warn_at=0.6, strict=False)
    assert (late.reserves_at(0.59), late.reserves_at(0.6)) == (False, True)
    for shares in ({"sub_task": 0.5}, {"workers": {"coder": 0.5}}):
        assert late.raised(shares).reserves_at(0)


def test_it_prints_its_limits() -> None:
    every = Budget(tokens=12_000, cost_usd=0.5, model_calls=1_000, tool_calls=2_000, wall_clock_s=90)
    assert str(every) == "12,000 tokens, $0.5, 1,000 model calls, 2,000 tool calls, 90 s"
    assert str(Budget(summary=0.5)) == "no limit"


@pytest.mark.parametrize(
    ("error", "text", "is_of_run"),
    [
        (
            BudgetSpentError("tokens", "run", Spend(900, 334), 2_000),
            "the budget of tokens is spent (1,234 of 2,000 used, and the next call does not fit)",
            True,
        ),
        (
            BudgetSpentError("nano_usd", "coder", Spend(nano_usd=7_000_000), 9_000_000),
            "the share of coder of cost is spent ($0.0070 of $0.0090 used, and the next call does not fit)",
            False,
        ),
        (
            BudgetSpentError("wall_clock_s", "run", 61.2, 60.0),
            "the budget of time is spent (61 of 60 used, and the next call does not fit)",
            True,
        ),
    ],
    ids=["run", "share", "time"],
)
def test_a_spent_budget_names_dimension_scope_and_amounts(error: BudgetSpentError, text: str, is_of_run: bool) -> None:
    assert (str(error), error.is_of_run) == (text, is_of_run)
    assert str(BudgetSpentError(*error.plain())) == text
