"""JSON answers: extracted from a text, without the thoughts before them, and checked against a schema."""

import json
from typing import Any

import pytest

from orchestrator.models.json_answers import answered_json, fits, without_thoughts


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1}', {"a": 1}),
        ('I think {so}: ```json\n{"a": {"b": [1, 2]}}\n``` and {"c": 3}', {"a": {"b": [1, 2]}}),
        ('{"cut": ', None),
        ("[1, 2]", None),
        ("", None),
    ],
)
def test_the_first_json_object_of_a_text(text: str, found: Any) -> None:
    assert answered_json(text, {}) == found


def test_thoughts_that_never_end_are_no_answer() -> None:
    assert answered_json('<think>It may be {"total": 4}', {}) is None


def test_a_text_inside_the_answer_may_look_like_thoughts() -> None:
    text = json.dumps({"reason": "it says <think>{}</think>", "total": 5})
    assert answered_json(text, {}) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>hm</think>\n\nIt is 5.", "It is 5."),
        ("hm\n</think>\n\nIt is 5.", "It is 5."),
        ("The tag </think> ends thoughts.", "The tag </think> ends thoughts."),
        ("Templates have:\n<think>\n</think>\nThat is all.", "Templates have:\n<think>\n</think>\nThat is all."),
        ("<think>It is 5.</think>", "<think>It is 5.</think>"),
        ("<think>It is", "<think>It is"),
        ("a < b </p>", "a < b </p>"),
    ],
)
def test_thoughts_before_an_answer_are_left_out_and_nothing_else_is(text: str, answer: str) -> None:
    assert without_thoughts(text) == answer


@pytest.mark.parametrize(
    ("value", "schema", "does"),
    [
        (5, {"type": "integer"}, True),
        (True, {"type": "integer"}, False),
        (5, {"type": "number"}, True),
        (None, {"type": ["string", "null"]}, True),
        ("c", {"enum": ["a", "b"]}, False),
        (["a", 1], {"type": "array", "items": {"type": "string"}}, False),
        ({"x": 1}, {"anyOf": [{"type": "string"}, {"type": "object", "required": ["x"]}]}, True),
        ({"x": {"y": 1}}, {"properties": {"x": {"$ref": "#/$defs/X"}}, "$defs": {"X": {"required": ["z"]}}}, False),
        ({"x": 1}, {"properties": {"x": True}}, True),
    ],
)
def test_whether_a_value_has_the_shape_of_a_schema(value: Any, schema: dict[str, Any], does: bool) -> None:
    assert fits(value, schema) == does
