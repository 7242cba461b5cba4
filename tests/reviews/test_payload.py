"""The payload of a review: its answer's schema, LangChain's request and the agent inbox' interrupt."""

from typing import Any, Literal

import jsonschema  # type: ignore[import-untyped]
import pytest
from langchain.agents.middleware.human_in_the_loop import HITLRequest
from langchain_core.tools import tool
from pydantic import TypeAdapter
from typing_extensions import TypedDict

from orchestrator.errors import DecisionError
from orchestrator.reviews.answers import read_answer
from orchestrator.reviews.payload import review_payload
from orchestrator.reviews.questions import question_review, tool_review
from orchestrator.reviews.review import Decision, Review, check_decision
from orchestrator.tool_calls.declaration import args_schema_of
from tests.reviews.test_answers import AGAIN, ALL, CALL, PLAN, QUESTION, RESULT, SPENT, STUCK
from tests.support.teams import step


class InboxConfig(TypedDict):
    allow_ignore: bool
    allow_respond: bool
    allow_edit: bool
    allow_accept: bool


class InboxAction(TypedDict):
    action: str
    args: dict[str, Any]


class HumanInterrupt(TypedDict):
    """As the agent inbox documents it; langgraph.prebuilt's own class is deprecated."""

    action_request: InboxAction
    config: InboxConfig
    description: str | None


@tool
def write(text: str, times: int = 1, tone: Literal["dry", "warm"] = "dry") -> str:
    """Write."""
    return text


TOOL = tool_review("t", CALL, "write", "once", args_schema=args_schema_of(write))
CHOICE = question_review("t", CALL, 1, "How many?", {"type": "integer", "minimum": 1})
REVIEWS = [PLAN, STUCK, SPENT, RESULT, TOOL, AGAIN, QUESTION, CHOICE]

FITTING: list[tuple[Review, dict[str, Any]]] = [
    *((review, {"action": action}) for review in REVIEWS for action in review.allowed if action in ("approve", "stop")),
    *((review, {"action": "reject", "text": "no"}) for review in REVIEWS if "reject" in review.allowed),
    (PLAN, {"action": "edit", "data": [step("x", agent="clerk"), step("y", "x", agent="clerk")]}),
    (RESULT, {"action": "edit", "text": "it is 43"}),
    (TOOL, {"action": "edit", "data": {"text": "two", "times": 2, "tone": "warm"}}),
    (SPENT, {"action": "edit", "data": {"tokens": 5000, "cost_usd": 0.5}}),
    (QUESTION, {"action": "answer", "text": "Lima"}),
    (CHOICE, {"action": "answer", "data": 2}),
]
WRONG: list[tuple[Review, dict[str, Any]]] = [
    *((review, {"action": "reject"}) for review in REVIEWS if "reject" in review.allowed),
    *((review, {"action": "reject", "text": " "}) for review in REVIEWS if "reject" in review.allowed),
    *((review, {"action": "edit"}) for review in (PLAN, RESULT, TOOL, SPENT)),
    (PLAN, {"action": "edit", "data": []}),
    (PLAN, {"action": "edit", "data": [step("x", agent="poet")]}),
    (PLAN, {"action": "edit", "data": [step("no id!", agent="clerk")]}),
    (SPENT, {"action": "edit", "data": {}}),
    (SPENT, {"action": "edit", "data": {"tokens": 0}}),
    (STUCK, {"action": "edit", "data": {}}),
    (QUESTION, {"action": "answer", "text": ""}),
    (QUESTION, {"action": "approve"}),
]


@pytest.mark.parametrize(("review", "answer"), FITTING, ids=str)
def test_an_answer_that_fits_the_schema_is_taken(review: Review, answer: dict[str, Any]) -> None:
    named = {"review_id": review.id, **answer}
    jsonschema.Draft202012Validator.check_schema(review.answer_schema)
    jsonschema.validate(named, review.answer_schema)
    assert check_decision(review, read_answer(review, named)) == Decision(**named)


@pytest.mark.parametrize(("review", "answer"), WRONG, ids=str)
def test_an_answer_that_is_refused_does_not_fit_the_schema(review: Review, answer: dict[str, Any]) -> None:
    named = {"review_id": review.id, **answer}
    with pytest.raises(DecisionError):
        check_decision(review, read_answer(review, named))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(named, review.answer_schema)


def test_the_schema_has_one_branch_for_each_allowed_action_and_names_the_review() -> None:
    for review in REVIEWS:
        schema = review.answer_schema
        assert [branch["properties"]["action"]["const"] for branch in schema["oneOf"]] == list(review.allowed)
        assert all(branch["title"] for branch in schema["oneOf"])
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"review_id": "another", "action": "stop"}, schema)


def test_the_edit_of_a_tool_call_has_the_schema_of_the_tool() -> None:
    edit = next(branch for branch in TOOL.answer_schema["oneOf"] if branch["properties"]["action"]["const"] == "edit")
    assert edit["properties"]["data"]["properties"]["tone"]["enum"] == ["dry", "warm"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"review_id": TOOL.id, "action": "edit", "data": {"times": 2}}, TOOL.answer_schema)


def test_a_schema_that_would_fill_a_review_is_left_out() -> None:
    @tool
    def wide(word: Literal[tuple(f"word {number}" for number in range(2000))]) -> str:  # type: ignore[valid-type]
        """Take one of many words."""
        return word

    assert args_schema_of(wide) == {"type": "object"}


@pytest.mark.parametrize("review", REVIEWS, ids=lambda review: review.question)
def test_a_payload_is_the_review_and_what_langchain_and_the_agent_inbox_show(review: Review) -> None:
    payload = review_payload(review, "that was refused")
    assert Review.of_payload(payload) == review
    assert payload["allowed"] == list(review.allowed)
    assert payload["schema"] == review.answer_schema
    request = TypeAdapter(HITLRequest).validate_python(payload, strict=True)
    (action,), (config,) = request["action_requests"], request["review_configs"]
    assert action["name"] == config["action_name"]
    assert review.question in action["description"]
    assert "that was refused" in action["description"]
    interrupt = TypeAdapter(HumanInterrupt).validate_python(payload, strict=True)
    assert interrupt["action_request"] == {"action": action["name"], "args": action["args"]}


def test_each_decision_that_a_payload_offers_is_taken() -> None:
    samples: dict[str, dict[str, Any]] = {
        "approve": {"type": "approve"},
        "reject": {"type": "reject", "message": "no"},
        "respond": {"type": "respond", "message": "Lima"},
    }
    for review in ALL.values():
        payload = review_payload(review)
        for kind in payload["review_configs"][0]["allowed_decisions"]:
            if kind != "edit":
                check_decision(review, read_answer(review, {"decisions": [samples[kind]]}))
        inbox = {"accept": None, "response": "some words", "ignore": None}
        for kind, args in inbox.items():
            offered = payload["config"][f"allow_{'respond' if kind == 'response' else kind}"]
            answer = [{"type": kind, "args": args}]
            if offered:
                check_decision(review, read_answer(review, answer))
            else:
                with pytest.raises(DecisionError):
                    read_answer(review, answer)


def test_a_payload_of_an_older_version_is_read_too() -> None:
    old = PLAN.model_dump(mode="json", exclude_defaults=True) | {"problem": "refused"}
    assert Review.of_payload(old) == PLAN
