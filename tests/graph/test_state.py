"""Reducers: parallel workers never overwrite one another."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.graph.state import add_up, merge_by_key

KEYS = st.sampled_from("abcdef")
COUNTS = st.dictionaries(KEYS, st.integers(0, 1000))


@given(st.dictionaries(KEYS, st.integers()), st.dictionaries(KEYS, st.integers()))
def test_disjoint_writes_merge_in_any_order(left: dict[str, int], right: dict[str, int]) -> None:
    right = {key: value for key, value in right.items() if key not in left}
    assert merge_by_key(left, right) == merge_by_key(right, left)


def test_a_key_given_as_none_is_taken_out() -> None:
    assert merge_by_key({"a": 1, "b": 2}, {"a": None}) == {"b": 2}


@given(COUNTS, COUNTS, COUNTS)
def test_counters_add_up_whatever_the_grouping(a: dict[str, int], b: dict[str, int], c: dict[str, int]) -> None:
    assert add_up(add_up(a, b), c) == add_up(a, add_up(b, c))
