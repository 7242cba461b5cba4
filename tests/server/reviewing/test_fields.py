"""A form for an object of a JSON schema gives the object back as it was, or as it was typed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import ConfigError
from orchestrator.server.reviewing.fields import fields_of, object_of

SCHEMA = {
    "type": "object",
    "properties": {
        "to": {"type": "string", "description": "who gets it"},
        "body": {"type": "string"},
        "copies": {"type": "integer", "default": 1},
        "share": {"anyOf": [{"type": "number"}, {"type": "null"}], "default": None},
        "urgent": {"type": "boolean", "default": False},
        "level": {"enum": ["low", "high"], "type": "string", "default": "low"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["to", "body"],
}


def sent(schema: Any, values: dict[str, Any], **changed: str) -> dict[str, Any]:
    """Return the object after its form was sent, some fields typed anew."""
    # A browser sends each line end of a text as CRLF.
    typed = {field.name: field.typed.replace("\n", "\r\n") for field in fields_of(schema, values)}
    return object_of(schema, values, typed | {f"arg:{name}": text for name, text in changed.items()})


def test_each_value_has_a_field_of_its_kind() -> None:
    values = {"to": "ada", "body": "two\nlines", "tags": ["x"]}
    kinds = {field.label: field.kind for field in fields_of(SCHEMA, values)}
    assert kinds == {
        "to": "text",
        "body": "long",
        "copies": "integer",
        "share": "number",
        "urgent": "truth",
        "level": "choice",
        "tags": "json",
        "note": "text",
    }


def test_a_form_that_is_sent_as_it_is_changes_nothing_that_was_given() -> None:
    values = {"to": "ada", "body": "two\n\nlines\n", "tags": ["x"], "share": 0.5, "urgent": True, "note": None}
    assert sent(SCHEMA, values).items() >= values.items()


def test_typed_values_have_the_types_of_the_schema() -> None:
    values = {"to": "ada", "body": "b"}
    new = sent(SCHEMA, values, copies="3", share="0.25", urgent="true", level="high", tags='["a", "b"]', note="n")
    assert new == {
        "to": "ada",
        "body": "b",
        "copies": 3,
        "share": 0.25,
        "urgent": True,
        "level": "high",
        "tags": ["a", "b"],
        "note": "n",
    }


def test_what_is_left_empty_is_left_out_or_null() -> None:
    values = {"to": "ada", "body": "b", "share": 0.5}
    assert sent(SCHEMA, values, share="", copies="", urgent="", level="", note="") == {
        "to": "ada",
        "body": "b",
        "share": None,
    }


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ({"copies": "many"}, "'copies' has to be a whole number"),
        ({"tags": "[1"}, "'tags' is no JSON: line 1"),
        ({"tags": "[1]"}, "tags.0: 1 is not of type 'string'"),
        ({"copies": "x", "share": "y"}, "'copies' has to be a whole number, as in 12; 'share' has to be a number"),
        ({"level": "other"}, "level: 'other' is not one of"),
    ],
)
def test_every_mistake_is_named(typed: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        sent(SCHEMA, {"to": "ada", "body": "b"}, **typed)
    assert problem in str(refused.value)


def test_a_text_that_a_page_cannot_show_as_it_is_stays_as_it_is() -> None:
    values = {"to": "a\x1b[31m\u202eb", "body": "b"}
    [field, *_] = fields_of(SCHEMA, values)
    assert (field.kind, field.typed) == ("json", '"a\\u001b[31m\\u202eb"')
    assert sent(SCHEMA, values)["to"] == values["to"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text("abcdefg", min_size=1, max_size=4), JSON, max_size=5))
def test_without_a_schema_any_object_comes_back_as_it_was(values: dict[str, Any]) -> None:
    assert sent({"type": "object"}, values) == values
