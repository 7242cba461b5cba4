"""The weaker forms of requests: what each changes, and what it leaves."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.models.requests import catalogue
from orchestrator.models.requests.catalogue import applied, candidates
from orchestrator.models.requests.conversation import usual
from orchestrator.models.requests.schemas import simple_schema
from orchestrator.models.requests.tools import short_id

ADD = {"type": "function", "function": {"name": "add", "strict": True, "parameters": {"type": "object"}}}


def system(text: str) -> dict[str, Any]:
    return {"role": "system", "content": text}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def said(text: str | None, *ids: str, **more: Any) -> dict[str, Any]:
    calls = [{"id": each, "type": "function", "function": {"name": "add", "arguments": "{}"}} for each in ids]
    return {"role": "assistant", "content": text, **({"tool_calls": calls} if calls else {}), **more}


def result(call_id: str, text: str = "5") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": text}


@pytest.mark.parametrize(
    ("form", "before", "after"),
    [
        ("system_first", [system("a"), user("u"), system("b")], [system("a\n\nb"), user("u")]),
        ("no_system", [system("a"), user("u")], [user("a\n\nu")]),
        ("no_system", [system("a"), said("x")], [user("a"), said("x")]),
        ("alternating", [system("a"), user("u"), user("v"), said("x")], [system("a"), user("u\n\nv"), said("x")]),
        ("alternating", [user("u"), said("x"), said("y", "1")], [user("u"), said("x\n\ny", "1")]),
        ("alternating", [said(None, "1"), result("1"), result("2")], [said(None, "1"), result("1"), result("2")]),
        ("begins_with_user", [system("a"), said("x")], [system("a"), user("Go on."), said("x")]),
        ("ends_with_user", [user("u"), said("x")], [user("u"), said("x"), user("Go on.")]),
        (
            "answered_tools",
            [said(None, "1"), result("1"), user("u")],
            [said(None, "1"), result("1"), said("I have read the results."), user("u")],
        ),
        ("text_content", [said(None, "1")], [said("", "1")]),
        ("filled_content", [said("", "1"), user(" ")], [said("-", "1"), user("-")]),
        ("no_extras", [said("x", "1", reasoning_content="hm")], [said("x", "1")]),
        (
            "single_calls",
            [said("x", "1", "2"), result("1", "a"), result("2", "b")],
            [said("x", "1"), result("1", "a"), said(None, "2"), result("2", "b")],
        ),
        (
            "short_ids",
            [said(None, "call_1"), result("call_1")],
            [said(None, short_id("call_1")), result(short_id("call_1"))],
        ),
        (
            "plain_history",
            [said(None, "1"), result("1")],
            [said('{"tool": "add", "args": {}}'), user("Result of add:\n5")],
        ),
    ],
)  # fmt: skip
def test_a_form_changes_the_conversation(form: str, before: list[Any], after: list[Any]) -> None:
    body = {"model": "m", "messages": before}
    kept = copy.deepcopy(body)
    assert applied(body, [form])["messages"] == after
    assert body == kept, "a form must not change the request that it is given"
    again = applied({"model": "m", "messages": after}, [form])
    assert again["messages"] == after, "a form applied twice is the same form"


@pytest.mark.parametrize(
    ("form", "before", "after"),
    [
        ("other_limit", {"max_tokens": 5}, {"max_completion_tokens": 5}),
        ("other_limit", {"max_completion_tokens": 5}, {"max_tokens": 5}),
        ("without temperature", {"temperature": 1, "top_p": 1}, {"top_p": 1}),
        ("no_stream_usage", {"stream": True, "stream_options": {}}, {"stream": True}),
        ("unstreamed", {"stream": True, "stream_options": {}}, {}),
        ("a later version's", {"temperature": 1}, {"temperature": 1}),
    ],
)
def test_a_form_changes_the_parameters(form: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    asked = {"model": "m", "messages": [user("u")]}
    assert applied({**asked, **before}, [form]) == {**asked, **after}


def test_the_usual_request_has_nothing_that_only_openai_knows() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    picture = [{"type": "image_url", "image_url": {"url": "data:,"}}]
    messages = [
        {"role": "developer", "content": "d"},
        {"role": "user", "content": parts, "name": "ann"},
        {"role": "user", "content": picture},
    ]
    assert usual({"messages": messages})["messages"] == [
        system("d"),
        user("a\nb"),
        {"role": "user", "content": picture},
    ]


def test_a_simple_schema_still_allows_what_the_schema_allowed() -> None:
    schema = {
        "$schema": "x",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "kind": {"const": "a", "title": "Kind"},
            "size": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}], "default": None},
            "tags": {"type": ["array", "null"], "items": {"$ref": "#/$defs/Tag"}},
        },
        "required": ["kind"],
        "$defs": {"Tag": {"type": "string", "pattern": "^a"}},
    }
    assert simple_schema(schema) == {
        "type": "object",
        "properties": {
            "kind": {"enum": ["a"]},
            "size": {"type": "integer"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["kind"],
    }
    assert simple_schema({"type": "object"}) == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("refusal", "first"),
    [
        ("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", "other_limit"),
        ("Unsupported value: 'temperature' does not support 0.2 with this model.", "without temperature"),
        ("Argument not supported on this model: parallel tool calls", "without parallel_tool_calls"),
        ("this model does not support tools", "json_tools"),
        ('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set', "json_tools"),
        ("Conversation roles must alternate user/assistant/user/assistant/...", "alternating"),
        ("Unexpected role 'user' after role 'tool'", "answered_tools"),
        ("System role not supported", "no_system"),
        ("Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9.", "short_ids"),
        ("This model only supports single tool-calls at once!", "single_calls"),
        ("This response_format type is unavailable now", "schema_object"),
        ("This model only support stream mode, please enable the stream parameter", "streamed"),
        ("The reasoning_content field is not allowed in input messages", "no_extras"),
    ],
)  # fmt: skip
def test_the_words_of_a_refusal_say_what_to_try_first(refusal: str, first: str) -> None:
    body = {
        "model": "m",
        "messages": [
            system("s"),
            user("u"),
            user("v"),
            said(None, "call_1", "call_2", reasoning_content="hm"),
            result("call_1"),
            result("call_2"),
            user("w"),
        ],
        "tools": [ADD],
        "parallel_tool_calls": True,
        "max_tokens": 5,
        "temperature": 0.2,
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
    }
    assert next(candidates(body, frozenset(), refusal, only_known=True)).name == first


_TURNS = st.lists(
    st.one_of(
        st.text(max_size=3).map(system),
        st.text(max_size=3).map(user),
        st.sampled_from([said("x"), said(None, "1", "2"), said("", "1", thinking="t")]),
        st.sampled_from([result("1"), result("2")]),
    ),
    min_size=1,
    max_size=8,
)


@given(_TURNS, st.sets(st.sampled_from(sorted(catalogue._BY_NAME))), st.booleans())
def test_any_forms_together_make_a_request_and_leave_the_given_one(
    turns: list[Any], names: set[str], has_tools: bool
) -> None:
    body = {"model": "m", "messages": turns, "max_tokens": 9, **({"tools": [ADD]} if has_tools else {})}
    kept = copy.deepcopy(body)
    changed = applied(body, names)
    assert body == kept
    assert changed["messages"]
    assert changed.get("max_tokens", changed.get("max_completion_tokens")) == 9, "no form may lift the answer's limit"
    told = str([message.get("content") for message in changed["messages"]])
    assert all(turn["content"] in told for turn in turns if turn["role"] == "user" and turn["content"].isalnum())
