"""The questions to a human: their JSON and their ids are stored, so they stay as they are."""

from typing import Any

import pytest

from orchestrator import Budget, Plan, Review, SubTask
from orchestrator.budget.spend import Spend
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

PLAN = Plan(sub_tasks=(SubTask(id="a", description="do a", target_agent="clerk"),))
CALL = CallInQuestion("c", "c-1f", "1-x", "write", {"text": "one"})
QUESTIONS: list[tuple[Review, dict[str, Any]]] = [
    (
        plan_review("t", PLAN, 2, "likely 1 to 2 tokens", {"total_tokens": [1, 2]}, ["clerk", "aide"], 50),
        {
            "id": "t/plan-82663229",
            "kind": "plan",
            "question": "Shall this plan be carried out?",
            "stake": "1 sub-tasks: likely 1 to 2 tokens",
            "subject": {
                "plan": [{"id": "a", "description": "do a", "target_agent": "clerk"}],
                "forecast": {"total_tokens": [1, 2]},
                "agents": ["aide", "clerk"],
                "most": 50,
            },
        },
    ),
    (
        steer_review("t", PLAN, 3, ["a failed: no", "b failed"], ["b", "a", "b"]),
        {
            "id": "t/steer-3dbee957",
            "kind": "steer",
            "question": "The run is stuck. Finish with what there is (approve), or say what to try (reject)?",
            "stake": "a failed: no; b failed",
            "subject": {"sub_tasks": ["a", "b"], "problems": ["a failed: no", "b failed"]},
            "allowed": ["approve", "reject", "stop"],
        },
    ),
    (
        budget_review("t", Budget(model_calls=2), "it is spent", Spend(100, 93, 1, 0, 1_234_567), 1.26),
        {
            "id": "t/steer-b9228c52",
            "kind": "steer",
            "question": "The budget is spent. Raise it (edit), finish with what there is (approve), or stop?",
            "stake": "what is not finished stays undone",
            "subject": {
                "problems": ["it is spent"],
                "budget": {"model_calls": 2},
                "spent": {
                    "tokens": 193,
                    "cost_usd": 0.001235,
                    "model_calls": 1,
                    "tool_calls": 0,
                    "wall_clock_s": 1.3,
                },
            },
            "allowed": ["approve", "edit", "stop"],
        },
    ),
    (
        result_review("t", "b-2e", SubTask(id="b", description="do b", target_agent="clerk"), "result of b", ("look",)),
        {
            "id": "t/result-033cea6a",
            "kind": "result",
            "question": "Is the result of sub-task b good enough to build on?",
            "stake": "everything that depends on it waits",
            "subject": {"description": "do b", "agent": "clerk", "result": "result of b", "sources": ["look"]},
            "sub_task_id": "b",
        },
    ),
    (
        tool_review("t", CALL, "write", "once", "not on a Sunday", ("a: look()",)),
        {
            "id": "t/tool-3b97385b",
            "kind": "tool",
            "question": "May sub-task c call the tool 'write'?",
            "stake": "the tool may write, and its effect cannot be repeated; not on a Sunday",
            "subject": {
                "tool": "write",
                "args": {"text": "one"},
                "risk": "write",
                "effect": "once",
                "tainted_by": ["a: look()"],
            },
            "sub_task_id": "c",
        },
    ),
    (
        repeat_review("t", CALL, "it may have had its effect"),
        {
            "id": "t/tool-259ad231",
            "kind": "tool",
            "question": "Call 'write' again for sub-task c?",
            "stake": "it may have had its effect",
            "subject": {"tool": "write", "args": {"text": "one"}},
            "allowed": ["approve", "reject", "stop"],
            "sub_task_id": "c",
        },
    ),
]


@pytest.mark.parametrize(("review", "stored"), QUESTIONS, ids=[review.id for review, _ in QUESTIONS])
def test_a_question_is_stored_as_it_always_was(review: Review, stored: dict[str, Any]) -> None:
    assert review.model_dump(mode="json", exclude_defaults=True) == stored


def test_a_long_result_is_shown_in_part_with_the_key_of_the_rest() -> None:
    sub_task = SubTask(id="b", description="do b", target_agent="clerk")
    shown = result_review("t", "b-2e", sub_task, "word " * 9000, ()).subject["result"]
    assert len(shown) < 9000
    assert "b-2e" in shown


def test_a_call_without_reason_or_untrusted_text_names_neither() -> None:
    review = tool_review("t", CALL, "read", "none")
    assert review.stake == "the tool may read"
    assert "tainted_by" not in review.subject


@pytest.mark.parametrize(
    ("identity", "number", "task_number", "expected"),
    [
        ("1-x", 0, 1, "804b6036"),
        ("1-x", 1, 1, "4fd72cae"),
        ("1-x", 0, 2, "f1f17928"),
        ("1-x ask|0", 0, 1, "4ef3a54f"),
    ],
    ids=["first", "second", "of a later task", "of a graph that the tool runs"],
)
def test_the_open_question_of_a_tool_keeps_its_id(identity: str, number: int, task_number: int, expected: str) -> None:
    call = CallInQuestion("c", "c-1f", identity, "ask_user", {"about": "city"}, task_number)
    assert question_review("t", call, number, "Which city?").id == f"t/question-{expected}"
    assert question_review("t", call, number, {"other": "words"}).id == f"t/question-{expected}"
