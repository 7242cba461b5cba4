"""Reducers: parallel workers never overwrite one another."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.graph.state import ReportedStatus, merge_by_key, newest_status, newest_usage, open_reviews

KEYS = st.sampled_from("abcdef")


@given(st.dictionaries(KEYS, st.integers()), st.dictionaries(KEYS, st.integers()))
def test_disjoint_writes_merge_in_any_order(left: dict[str, int], right: dict[str, int]) -> None:
    right = {key: value for key, value in right.items() if key not in left}
    assert merge_by_key(left, right) == merge_by_key(right, left)


def test_a_key_given_as_none_is_taken_out() -> None:
    assert merge_by_key({"a": 1, "b": 2}, {"a": None}) == {"b": 2}


def test_paused_workers_report_all_open_reviews_in_any_order() -> None:
    one, two = {"id": "t/tool-1"}, {"id": "t/result-2"}
    assert open_reviews(open_reviews([], (one,)), (two, one)) == [one, two]
    assert open_reviews([one, two], [two]) == [two], "the update of a node replaces the list"


def test_an_open_review_outweighs_a_failure() -> None:
    for reports in (["waiting", "failed"], ["failed", "waiting"]):
        status: str = "running"
        for report in reports:
            status = newest_status(status, ReportedStatus(report))
        assert status == "waiting"
    assert newest_status("waiting", "failed") == "failed", "the update of a node replaces the status"


def test_of_the_totals_that_paused_workers_report_the_largest_count() -> None:
    total = {"model_calls": 2}
    for report in ({"model_calls": 5}, {"model_calls": 4}):
        total = newest_usage(total, (report,))
    assert total == {"model_calls": 5}
    assert newest_usage(total, {"model_calls": 1}) == {"model_calls": 1}, "the update of a node replaces the totals"
