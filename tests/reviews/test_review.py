"""A review and the decisions that answer it: each kind takes its own actions, and every action needs its own data."""

from typing import Any

import pytest

from orchestrator import Budget, Decision, Plan, Review, SubTask
from orchestrator.budget.spend import Spend
from orchestrator.errors import DecisionError
from orchestrator.reviews.questions import (
    CallInQuestion,
    budget_review,
    plan_review,
    question_review,
    repeat_review,
    result_review,
    steer_review,
    tool_review,
)
from orchestrator.reviews.review import check_decision, review_id

SUB_TASK = SubTask(id="a", description="do a", target_agent="clerk")
PLAN = Plan(sub_tasks=(SUB_TASK,))
NEW_PLAN = [{"id": "b", "description": "do b", "target_agent": "clerk"}]
CALL = CallInQuestion("a", "a-1f", "1-x", "write", {"text": "one"})
REVIEWS = {
    "plan": plan_review("t", PLAN, 0, "", {}, ["clerk"], 2),
    "result": result_review("t", "a-1f", SUB_TASK, "result of a", ()),
    "tool": tool_review("t", CALL, "write", "once"),
    "repeat": repeat_review("t", CALL, "it may have had its effect"),
    "steer": steer_review("t", PLAN, 1, ["a failed"], ["a"]),
    "budget": budget_review("t", Budget(tokens=100), "it is spent", Spend(100), 1.0),
    "question": question_review("t", CALL, 0, "Which one?"),
}
# What goes with an action where it is taken.
COMPLETE: dict[tuple[str, str], dict[str, Any]] = {
    ("plan", "edit"): {"data": NEW_PLAN},
    ("result", "edit"): {"text": "better"},
    ("tool", "edit"): {"data": {"text": "two"}},
    ("budget", "edit"): {"data": {"tokens": 200}},
    ("question", "answer"): {"text": "the first"},
    **{(name, "reject"): {"text": "not so"} for name in REVIEWS},
}
TAKEN = {
    "plan": {"approve", "edit", "reject", "stop"},
    "result": {"approve", "edit", "reject", "stop"},
    "tool": {"approve", "edit", "reject", "stop"},
    "repeat": {"approve", "reject", "stop"},
    "steer": {"approve", "reject", "stop"},
    "budget": {"approve", "edit", "stop"},
    "question": {"answer", "reject", "stop"},
}


def decide(review: Review, action: Any, **fields: Any) -> Decision:
    return check_decision(review, Decision(**{"review_id": review.id, "action": action} | fields))


@pytest.mark.parametrize("action", ["approve", "edit", "reject", "stop", "answer"])
@pytest.mark.parametrize("name", REVIEWS)
def test_a_review_is_answered_by_the_actions_that_it_allows_and_by_no_other(name: str, action: str) -> None:
    review, fields = REVIEWS[name], COMPLETE.get((name, action), {})
    if action in TAKEN[name]:
        assert decide(review, action, **fields).action == action
        return
    with pytest.raises(DecisionError, match=f"'{action}' does not answer {review.id}: use one of ") as refused:
        decide(review, action, **fields)
    assert set(str(refused.value).partition("use one of ")[2].split(", ")) == TAKEN[name]


@pytest.mark.parametrize(
    ("name", "action", "fields", "problem"),
    [
        ("tool", "reject", {}, "a rejection needs a text"),
        ("tool", "reject", {"text": " \n"}, "a rejection needs a text"),
        ("question", "answer", {}, "an answer needs its text, or data"),
        ("question", "answer", {"text": " \n"}, "an answer needs its text, or data"),
        ("result", "edit", {}, "editing a result needs its new text"),
        ("result", "edit", {"text": " \n"}, "editing a result needs its new text"),
        ("tool", "edit", {}, "needs its new arguments as a JSON object"),
        ("tool", "edit", {"data": ["two"]}, "needs its new arguments as a JSON object"),
        ("plan", "edit", {"data": [NEW_PLAN[0] | {"target_agent": "poet"}]}, "not sound: .*poet"),
        ("plan", "edit", {"data": [NEW_PLAN[0] | {"id": name} for name in "bcd"]}, "not sound: .*3"),
        ("budget", "edit", {}, "needs its new limits as a JSON object"),
        ("budget", "edit", {"data": {}}, "needs its new limits as a JSON object"),
        ("budget", "edit", {"data": [200]}, "needs its new limits as a JSON object"),
        ("budget", "edit", {"data": {"tokens": 100}}, "the budget as it was .100 tokens.: give higher limits"),
        ("budget", "edit", {"data": {"tokens": "many"}}, "tokens: this is no amount: write a number"),
        ("budget", "edit", {"data": {"tokens": "+200000"}}, "tokens: this is a change: write the whole new limit"),
        ("budget", "edit", {"data": {"tokens": "$5"}}, "limit it with cost_usd"),
        ("budget", "edit", {"data": "+200000"}, "write the whole new limit"),
        ("budget", "edit", {"data": True}, "this is no budget"),
    ],
)
def test_an_action_without_what_it_needs_is_refused(
    name: str, action: str, fields: dict[str, Any], problem: str
) -> None:
    with pytest.raises(DecisionError, match=problem):
        decide(REVIEWS[name], action, **fields)


def test_data_answers_a_question_even_where_it_is_empty() -> None:
    assert decide(REVIEWS["question"], "answer", data=[]).data == []


def test_a_decision_about_another_review_is_refused_with_both_names() -> None:
    tool, result = REVIEWS["tool"], REVIEWS["result"]
    with pytest.raises(DecisionError, match=f"names review '{tool.id}', the open one is '{result.id}'"):
        decide(result, "approve", review_id=tool.id)


def test_a_review_of_a_version_that_kept_no_bound_takes_a_plan_of_any_size() -> None:
    review = REVIEWS["plan"].model_copy(update={"subject": {"agents": ["clerk"]}})
    plan = [NEW_PLAN[0] | {"id": name} for name in "bcd"]
    assert decide(review, "edit", data=plan).data == plan


@pytest.mark.parametrize("thread", ["t", "team/of/ours"])
def test_a_review_knows_its_thread_by_its_id(thread: str) -> None:
    review = Review(id=review_id(thread, "tool", "x"), kind="tool", question="May it?")
    assert review.thread_id == thread


def test_the_parts_of_a_subject_are_not_run_together_in_an_id() -> None:
    assert review_id("t", "tool", "ab", "c") != review_id("t", "tool", "a", "bc")
