"""What is wrong with the shape of some data, as sentences."""

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.errors import shape_problems


class Shelf(BaseModel):
    """Something with places in it."""

    model_config = ConfigDict(extra="forbid")

    books: list[str]


def error_of(data: Any) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Shelf.model_validate(data)
    return caught.value


def test_each_problem_is_a_sentence_that_names_its_place() -> None:
    assert shape_problems(error_of({"books": ["a", 5], "colour": "red"}), "shelf") == [
        "books.1: Input should be a valid string",
        "colour: Extra inputs are not permitted",
    ]


def test_a_problem_of_the_whole_names_the_whole() -> None:
    [sentence] = shape_problems(error_of("a"), "shelf")
    assert sentence.startswith("shelf: Input should be a valid dictionary")


def test_a_note_and_the_wrong_value_are_added_where_they_are_wanted() -> None:
    [sentence] = shape_problems(
        error_of({"books": [5]}), "shelf", note=lambda path: f" (of {len(path)})", show_input=True
    )
    assert sentence == "books.0 (of 2): Input should be a valid string, not 5"
