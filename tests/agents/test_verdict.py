"""A reviewer's verdict, as it is read from an answer and written into a result."""

import pytest

from orchestrator.agents.verdict import read_verdict, with_verdict
from orchestrator.errors import PlanError
from orchestrator.planning.outcome import Verdict


def test_an_accepting_verdict_needs_no_sub_task() -> None:
    assert read_verdict({"reason": "fine", "verdict": "accept"}, ["a", "b"]).verdict == "accept"


def test_the_only_candidate_is_meant_when_none_or_another_is_named() -> None:
    answer = {"reason": "wrong", "verdict": "changes_requested", "sub_task_id": "x"}
    assert read_verdict(answer, ["a"]).sub_task_id == "a"


def test_among_several_candidates_the_verdict_must_name_one() -> None:
    answer = {"reason": "wrong", "verdict": "changes_requested", "sub_task_id": "x"}
    with pytest.raises(PlanError, match="must be one of a, b"):
        read_verdict(answer, ["a", "b"])


def test_an_answer_of_another_shape_says_what_is_wrong_with_it() -> None:
    with pytest.raises(PlanError, match="verdict: "):
        read_verdict({"reason": "fine", "verdict": "maybe"}, ["a"])


@pytest.mark.parametrize(
    ("notes", "verdict", "text"),
    [
        ("", Verdict(reason="fine", verdict="accept"), "accepted: fine"),
        ("I looked.", Verdict(reason="fine", verdict="accept"), "I looked.\n\naccepted: fine"),
        ("", Verdict(reason="no", verdict="changes_requested", sub_task_id="a"), "changes requested in a: no"),
    ],
)
def test_a_result_says_the_verdict_in_words(notes: str, verdict: Verdict, text: str) -> None:
    assert with_verdict(notes, verdict) == text
