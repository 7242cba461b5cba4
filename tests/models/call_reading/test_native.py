"""Native tool calls with broken arguments, odd names and odd ids."""

import json
from typing import Any

import openai
import pytest
from langchain_core.messages import AIMessage

from orchestrator.messages import call_problem
from orchestrator.models.call_reading.answer import with_calls
from orchestrator.models.call_reading.arguments import arguments_of
from orchestrator.models.call_reading.names import named_tool, safe_name
from orchestrator.models.call_reading.native import failed_call, read_fields
from orchestrator.models.call_reading.values import UnreadableError
from tests.models.call_reading.test_reading import BOX
from tests.support.endpoints import answered

READ: dict[str, tuple[Any, dict[str, Any]]] = {
    "nothing": (None, {}),
    "an empty text": ("", {}),
    "space": (" \n", {}),
    "null": ("null", {}),
    "an empty list": ("[]", {}),
    "an object": ({"lake": "Onda"}, {"lake": "Onda"}),
    "its JSON": ('{"lake": "Onda"}', {"lake": "Onda"}),
    "encoded twice": (json.dumps('{"lake": "Onda"}'), {"lake": "Onda"}),
    "encoded three times": (json.dumps(json.dumps('{"lake": "Onda"}')), {"lake": "Onda"}),
    "Python": ("{'lake': 'Onda', 'deep': True, 'at': None}", {"lake": "Onda", "deep": True, "at": None}),
    "both": ("{'lake': \"On'da\", 'deep': true}", {"lake": "On'da", "deep": True}),
    "a comma too many": ('{"lake": "Onda", "tags": [1, 2,],}', {"lake": "Onda", "tags": [1, 2]}),
    "a list of one": ('[{"lake": "Onda"}]', {"lake": "Onda"}),
    "a line end in a text": ('{"lake": "On\nda"}', {"lake": "On\nda"}),
    "keys without quotes": ('{lake: "Onda"}', {"lake": "Onda"}),
}
TOLD: dict[str, tuple[Any, str]] = {
    "cut off": ('{"lake": "Onda"', "breaks off"),
    "cut off in a text": ('{"lake": "On', "breaks off"),
    "two objects": ('{"lake": "Onda"}{"lake": "Iri"}', "more text"),
    "a list of two": ('[{"lake": "Onda"}, {"lake": "Iri"}]', "a list of 2"),
    "a text": ('"Onda"', "no value"),
    "words": ("the lake of Onda", "no value"),
    "a number": ("12", "a number"),
    "true": (True, "true or false"),
    "NaN": ('{"depth": NaN}', "NaN"),
    "infinite": ({"depth": float("inf")}, "inf"),
    "an apostrophe": ("{'lake': 'it's'}", "missing"),
    "comments": ('{"lake": "Onda" // the lake\n}', "missing"),
    "deep": ("[" * 100_000, "too deeply"),
    "a long number": ('{"depth": ' + "9" * 5000 + "}", "too long"),
}


@pytest.mark.parametrize(("sent", "meant"), READ.values(), ids=READ)
def test_what_can_mean_one_thing_only_is_read(sent: Any, meant: dict[str, Any]) -> None:
    assert arguments_of(sent) == meant


@pytest.mark.parametrize(("sent", "why"), TOLD.values(), ids=TOLD)
def test_what_is_broken_is_never_guessed(sent: Any, why: str) -> None:
    with pytest.raises(UnreadableError, match=why):
        arguments_of(sent)


@pytest.mark.parametrize("sent", [sent for sent, _ in TOLD.values()], ids=TOLD)
def test_a_call_with_broken_arguments_is_answered_with_what_is_wrong(sent: Any) -> None:
    read, unread = read_fields([{"id": "1", "function": {"name": "lookup", "arguments": sent}}])
    assert not read
    answer = with_calls(AIMessage("", invalid_tool_calls=unread), BOX, 1)
    assert isinstance(answer, AIMessage)
    assert not answer.invalid_tool_calls, "endpoints refuse to read broken arguments again"
    [call] = answer.tool_calls
    told = call_problem([answer], call["id"])
    assert call["args"] == {}
    assert "'lookup'" in told
    assert "one JSON object with lake (string)" in told
    assert len(told) < 600


def test_sound_calls_are_left_as_they_are() -> None:
    call = {"name": "lookup", "args": {"lake": "Onda"}, "id": "1", "type": "tool_call"}
    message = AIMessage("x", tool_calls=[call])
    assert with_calls(message, BOX, 1) is message


@pytest.mark.parametrize("ids", [("", ""), (None, None), ("a", "a"), ("a", "")])
def test_every_call_has_an_id_of_its_own(ids: tuple[str | None, str | None]) -> None:
    calls = [{"name": "lookup", "args": {"lake": "Onda"}, "id": each, "type": "tool_call"} for each in ids]
    answer = with_calls(AIMessage("", tool_calls=calls), BOX, 1)
    assert isinstance(answer, AIMessage)
    given = [call["id"] for call in answer.tool_calls]
    assert all(given)
    assert len(set(given)) == 2


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("search_docs", "search_docs"),
        ("functions.search_docs", "search_docs"),
        ("default_api.search_docs", "search_docs"),
        ("functions.search_docs:0", "search_docs"),
        ("search-docs", "search_docs"),
        ("SearchDocs", "search_docs"),
        (' "Search Docs" ', "search_docs"),
        ("get_it", None),  # `getIt` and `get-it` are both tools
        ("getIt", "getIt"),
        ("docs", None),
        ("", None),
    ],
)
def test_a_name_means_a_tool_if_it_can_mean_no_other(written: str, meant: str | None) -> None:
    assert named_tool(written, ["search_docs", "getIt", "get-it"]) == meant


def test_names_of_no_tool_are_sent_back_in_a_form_that_endpoints_take() -> None:
    assert safe_name("my tool!") == "my_tool"
    assert safe_name("…") == "unreadable_call"
    answer = with_calls(
        AIMessage("", tool_calls=[{"name": "my tool!", "args": {}, "id": "1", "type": "tool_call"}]), BOX, 1
    )
    assert isinstance(answer, AIMessage)
    assert answer.tool_calls[0]["name"] == "my_tool"
    assert "my tool! is not a valid tool" in call_problem([answer], "1")


def _failed(**body: Any) -> openai.APIStatusError:
    error = answered(400)
    error.body = body
    return error


def test_a_generation_that_the_endpoint_could_not_read_is_the_models_answer() -> None:
    call = '<function=lookup>{"lake": "Onda"}</function>'
    failed = failed_call(_failed(code="tool_use_failed", failed_generation=call))
    assert failed is not None
    answer = with_calls(failed, BOX, 1)
    assert isinstance(answer, AIMessage)
    assert answer.tool_calls[0]["args"] == {"lake": "Onda"}
    unread = failed_call(_failed(error={"code": "tool_use_failed", "message": "it failed", "failed_generation": "x"}))
    assert unread is not None
    answer = with_calls(unread, BOX, 1)
    assert isinstance(answer, AIMessage)
    assert "it failed" in call_problem([answer], answer.tool_calls[0]["id"])
    assert failed_call(_failed(code="invalid_request")) is None
    assert failed_call(ValueError("x")) is None
