"""Answers to reviews, in each form that a client of LangGraph sends: each is read as one decision, or refused."""

import json
from typing import Any

import pytest

from orchestrator import Budget, Plan, SubTask
from orchestrator.budget.spend import Spend
from orchestrator.errors import DecisionError
from orchestrator.reviews.answers import is_map, named_reviews, read_answer
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
from orchestrator.reviews.review import Decision, Review, check_decision
from tests.support.teams import step

CALL = CallInQuestion("c", "c-1f", "2.0", "write", {"text": "one", "times": 3, "to": ["a"], "at": None})
PLAN = plan_review("t", Plan.parse([step("a", agent="clerk")]), 0, "cheap", {}, ["clerk"], 50)
STUCK = steer_review("t", Plan.parse([step("a", agent="clerk")]), 1, ["a failed"], ["a"])
SPENT = budget_review("t", Budget(tokens=1000), "it is spent", Spend(), 1.0)
RESULT = result_review("t", "b-2e", SubTask(id="b", description="do b", target_agent="clerk"), "it is 42", ())
TOOL = tool_review("t", CALL, "write", "once")
AGAIN = repeat_review("t", CALL, "it may have had its effect")
QUESTION = question_review("t", CALL, 0, "Which city?")
ALL = {r.question: r for r in (PLAN, STUCK, SPENT, RESULT, TOOL, AGAIN, QUESTION)}
APPROVABLE = [review for review in ALL.values() if review is not QUESTION]


def read(review: Review, answer: Any) -> tuple[str, Any]:
    """Return the action of a valid answer, with its text or data."""
    decision = check_decision(review, read_answer(review, answer))
    return decision.action, decision.text if decision.data is None else decision.data


def edit(name: str, **args: Any) -> dict[str, Any]:
    """Return an edit as LangChain has it."""
    return {"decisions": [{"type": "edit", "edited_action": {"name": name, "args": args}}]}


@pytest.mark.parametrize("review", APPROVABLE, ids=lambda review: review.question)
@pytest.mark.parametrize(
    "answer",
    [
        "approve",
        " Approve\n",
        '"approve"',
        {"action": "approve"},
        '{"action": "approve"}',
        {"decisions": [{"type": "approve"}]},
        {"type": "approve"},
        '{"decisions": [{"type": "approve"}]}',
        [{"type": "accept", "args": None}],
        [{"type": "accept", "args": {"action": "write", "args": {"text": "one"}}}],
        {"type": "accept"},
    ],
    ids=str,
)
def test_an_approval_in_any_form_approves(review: Review, answer: Any) -> None:
    assert read(review, answer) == ("approve", "")
    assert read(review, {review.id: answer}) == ("approve", ""), "the same, by the review's id"


@pytest.mark.parametrize("review", ALL.values(), ids=lambda review: review.question)
def test_our_own_decision_is_taken_as_object_data_and_text(review: Review) -> None:
    decision = Decision(review_id=review.id, action="stop")
    for form in (decision, decision.model_dump(), decision.model_dump_json()):
        assert read(review, form) == ("stop", "")
        assert named_reviews(form) == {review.id}


@pytest.mark.parametrize("review", [r for r in ALL.values() if "reject" in r.allowed], ids=lambda r: r.question)
@pytest.mark.parametrize(
    "answer",
    [
        {"action": "reject", "text": "too dear"},
        {"decisions": [{"type": "reject", "message": "too dear"}]},
        {"type": "reject", "message": "too dear"},
    ],
    ids=str,
)
def test_a_rejection_in_any_form_rejects_with_its_reason(review: Review, answer: Any) -> None:
    assert read(review, answer) == ("reject", "too dear")


def test_a_response_of_the_agent_inbox_is_feedback_or_the_answer_to_a_question() -> None:
    answer = [{"type": "response", "args": "smaller steps"}]
    for review in (PLAN, STUCK, RESULT, TOOL, AGAIN):
        assert read(review, answer) == ("reject", "smaller steps")
    assert read(QUESTION, answer) == ("answer", "smaller steps")


def test_ignoring_a_tool_call_or_a_question_leaves_it_out_and_nothing_else_can_be_ignored() -> None:
    answer = [{"type": "ignore", "args": None}]
    for review in (TOOL, AGAIN, QUESTION):
        assert read(review, answer) == ("reject", "a human left this out")
    for review in (PLAN, STUCK, SPENT, RESULT):
        with pytest.raises(DecisionError, match="'ignore' does not answer"):
            read(review, answer)


def test_an_edit_changes_a_plan() -> None:
    plan = [step("x", agent="clerk")]
    for given in (plan, json.dumps(plan), {"sub_tasks": plan}):
        action, data = read(PLAN, edit("carry_out_plan", plan=given))
        assert (action, list(Plan.parse(data).by_id)) == ("edit", ["x"])
    inbox = [{"type": "edit", "args": {"action": "carry_out_plan", "args": {"plan": json.dumps(plan)}}}]
    assert read(PLAN, inbox) == ("edit", plan)


def test_an_edit_changes_the_arguments_of_a_tool_and_keeps_their_types() -> None:
    texts = {"text": "2", "times": "4", "to": '["b"]', "at": "noon", "new": "5"}
    assert read(TOOL, edit("write", **texts)) == (
        "edit",
        {"text": "2", "times": 4, "to": ["b"], "at": "noon", "new": "5"},
    )
    assert read(TOOL, edit("write", times=4)) == ("edit", {"times": 4})


def test_an_edit_changes_a_result_and_raises_a_budget() -> None:
    assert read(RESULT, edit("accept_result", result="it is 43")) == ("edit", "it is 43")
    assert read(SPENT, edit("finish_run", tokens="5000")) == ("edit", {"tokens": 5000})


def test_an_edit_of_a_result_that_is_shown_in_part_does_not_cut_it_off() -> None:
    sub_task = SubTask(id="b", description="do b", target_agent="clerk")
    review = result_review("t", "b-2e", sub_task, "word " * 9000, ())
    with pytest.raises(DecisionError, match="send the whole new text"):
        read(review, edit("accept_result", result=review.subject["result"].replace("word", "term")))


@pytest.mark.parametrize(
    ("answer", "action", "content"),
    [
        ("Lima", "answer", "Lima"),
        ("approve", "answer", "approve"),
        ({"city": "Lima"}, "answer", {"city": "Lima"}),
        (["Lima", "Quito"], "answer", ["Lima", "Quito"]),
        (5, "answer", 5),
        (False, "answer", False),
        ({"decisions": [{"type": "respond", "message": "Lima"}]}, "answer", "Lima"),
        ({"action": "answer", "text": "Lima"}, "answer", "Lima"),
        ({"action": "reject", "text": "no idea"}, "reject", "no idea"),
    ],
    ids=str,
)
def test_a_question_is_answered_by_the_bare_answer_or_in_any_form(answer: Any, action: str, content: Any) -> None:
    assert read(QUESTION, answer) == (action, content)


@pytest.mark.parametrize(
    ("review", "answer", "problem"),
    [
        (PLAN, "yes, go on", '"action": "approve"'),
        (PLAN, "", '"action": "approve"'),
        (PLAN, True, '"action": "approve"'),
        (PLAN, None, '"action": "approve"'),
        (PLAN, {"approved": True}, '"action": "approve"'),
        (PLAN, [], '"action": "approve"'),
        (PLAN, '{"action": ', '"action": "approve"'),
        (PLAN, {"action": "perhaps"}, "the actions are approve, edit, reject, stop"),
        (PLAN, {"action": "approve", "colour": "red"}, "the actions are"),
        (PLAN, {"action": "answer", "text": "x"}, "use one of approve"),
        (PLAN, {"decisions": []}, "one decision, and the answer holds 0"),
        (PLAN, {"decisions": [{"type": "approve"}, {"type": "approve"}]}, "holds 2"),
        (PLAN, {"decisions": [{"type": "yes"}]}, "one decision"),
        (PLAN, {"decisions": [{"type": "respond", "message": "x"}]}, "use one of 'approve', 'edit', 'reject'"),
        (PLAN, {"decisions": [{"type": "reject"}]}, "needs a text"),
        (PLAN, {"decisions": [{"type": "edit"}]}, "needs the action with its arguments"),
        (PLAN, edit("carry_out_plan", plan="no JSON"), "'plan' is no JSON"),
        (PLAN, edit("carry_out_plan", plan=[step("x", agent="poet")]), "poet"),
        (PLAN, edit("carry_out_plan"), "not sound"),
        (TOOL, edit("read", text="x"), "names 'read', and 'write' is in question"),
        (TOOL, edit("write", times="many"), "'times' is no JSON"),
        (AGAIN, edit("write", text="x"), "'edit' does not answer"),
        (RESULT, edit("accept_result"), "needs its new text"),
        (SPENT, {"decisions": [{"type": "reject", "message": "no"}]}, "use one of 'approve', 'edit'"),
        (SPENT, [{"type": "response", "args": "no"}], "use one of 'approve', 'edit'"),
        (SPENT, edit("finish_run", tokens=1000), "the budget as it was"),
        (QUESTION, {"decisions": [{"type": "approve"}]}, "use one of 'respond', 'reject'"),
        (QUESTION, "", "needs its text"),
        (PLAN, {"review_id": "t/plan-00000000", "action": "approve"}, "t/plan-00000000"),
        (PLAN, {"t/plan-00000000": "approve"}, "the answer is for t/plan-00000000"),
        (QUESTION, {"t/question-00000000": "Lima"}, "the answer is for t/question-00000000"),
        (QUESTION, {"": "Lima"}, "the answer is for no review"),
    ],
    ids=str,
)
def test_what_is_not_understood_is_refused_with_what_would_be(review: Review, answer: Any, problem: str) -> None:
    with pytest.raises(DecisionError) as refusal:
        read(review, answer)
    assert problem in str(refusal.value)


def test_an_answer_names_its_review_by_id_or_not_at_all() -> None:
    assert named_reviews({"review_id": "t/plan-1", "action": "approve"}) == {"t/plan-1"}
    assert named_reviews({PLAN.id: "approve", TOOL.id: "stop"}) == {PLAN.id, TOOL.id}
    assert is_map({PLAN.id: "approve"})
    for answer in ("approve", {"action": "approve"}, {"city": "Lima"}, {}, ["x"], 5, {"decisions": []}):
        assert named_reviews(answer) == frozenset()
        assert not is_map(answer)
