"""A spend, and its forms at rest."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.budget.spend import Spend

COUNTS = st.integers(0, 10**12)
SPENDS = st.builds(Spend, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)


@given(SPENDS)
def test_a_row_of_the_ledger_is_read_back(spend: Spend) -> None:
    assert Spend.parse(spend.plain()) == spend


@given(st.builds(Spend, COUNTS, COUNTS, COUNTS, COUNTS))
def test_counters_of_the_state_are_read_back(spend: Spend) -> None:
    assert Spend.of_usage(spend.usage()) == Spend.of_usage(spend.counters()) == spend


def test_the_state_keeps_no_zeros_and_no_cost() -> None:
    assert Spend(3, 0, 1, 0, 9).usage() == {"input_tokens": 3, "model_calls": 1}
    assert Spend(3).counters() == {"input_tokens": 3, "output_tokens": 0, "model_calls": 0, "tool_calls": 0}
    assert not Spend().usage()


def test_counters_of_another_version_are_left_out() -> None:
    assert Spend.of_usage({"input_tokens": 3, "cached_tokens": 2}) == Spend(3)
