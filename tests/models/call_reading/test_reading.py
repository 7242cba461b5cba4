"""Tool calls in texts: read in the forms of many models, and in nothing else."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage
from langchain_core.tools import tool

from orchestrator.messages import call_problem
from orchestrator.models.call_reading.answer import Toolbox, is_call, with_calls
from orchestrator.models.call_reading.reading import MOST_CALLS, read_calls
from tests.models.call_reading.forms import ARGS, CALL, NO_CALL, ONE_CALL, TOLD


@tool
def lookup(lake: str) -> str:
    """Looks a lake up."""
    return lake


@tool
def measure(depth: int, deep: bool, tags: list[str], note: str | None = None) -> str:
    """Measures."""
    return note or ""


BOX = Toolbox({"lookup": lookup, "measure": measure}, ["lookup", "measure"])


def read(text: str, **more: Any) -> AIMessage:
    message = with_calls(AIMessage(text, id="answer"), BOX, 1, **more)
    assert isinstance(message, AIMessage)
    return message


@pytest.mark.parametrize("text", ONE_CALL.values(), ids=ONE_CALL)
def test_a_call_in_a_text_is_a_call(text: str) -> None:
    [call] = read(text).tool_calls
    assert (call["name"], call["args"]) == ("lookup", ARGS)
    assert not call_problem([read(text)], call["id"])


@pytest.mark.parametrize("text", TOLD.values(), ids=TOLD)
def test_what_looks_like_a_call_and_cannot_be_made_is_told(text: str) -> None:
    answer = read(text)
    [call] = answer.tool_calls
    assert call["args"] == {}
    assert call_problem([answer], call["id"])


@pytest.mark.parametrize("text", NO_CALL.values(), ids=NO_CALL)
def test_what_only_looks_like_a_call_is_left_alone(text: str) -> None:
    message = AIMessage(text)
    assert with_calls(message, BOX, 1) is message


@pytest.mark.parametrize("text", [*ONE_CALL.values(), *TOLD.values()], ids=[*ONE_CALL, *TOLD])
def test_an_agent_without_tools_answers_none_with_a_mark_or_of_the_usual_shape(text: str) -> None:
    unusual = ("I will:", "I wait", "lookup(lake=", "I call", "I look it up.\n\n")
    assert is_call(text) or any(part in text for part in unusual)


def test_words_before_a_call_stay_and_what_the_model_invents_after_it_goes() -> None:
    assert read(f"I look it up.\n<tool_call>{CALL}</tool_call>\nIt is 5 m deep.").text == "I look it up."
    assert read(ONE_CALL["gpt-oss"]).text == "Hm."


@pytest.mark.parametrize(
    "text",
    [
        f"<tool_call>{CALL}</tool_call>\n" * 3,
        f"<tool_call>{CALL}\n{CALL}\n{CALL}</tool_call>",
        f"<|python_tag|>{CALL}; {CALL}; {CALL}",
        f"```json\n[{CALL}, {CALL}]\n```\n\n```json\n{CALL}\n```",
        '[lookup(lake="Onda"), lookup(lake="Onda"), lookup(lake="Onda")]',
        ONE_CALL["deepseek"] * 3,
        ONE_CALL["kimi"] * 3,
        ONE_CALL["minimax"] * 3,
    ],
)
def test_several_calls_are_read_and_have_different_ids(text: str) -> None:
    calls = read(text).tool_calls
    assert [call["args"] for call in calls] == [ARGS] * 3
    assert len({call["id"] for call in calls}) == 3


def test_ids_are_the_same_in_any_process_and_differ_between_answers() -> None:
    def ids(message_id: str, seed: int) -> str | None:
        answer = with_calls(AIMessage(CALL, id=message_id), BOX, seed)
        assert isinstance(answer, AIMessage)
        return answer.tool_calls[0]["id"]

    assert ids("a", 1) == ids("a", 1)
    assert len({ids("a", 1), ids("a", 2), ids("b", 1)}) == 3


def test_texts_between_tags_get_the_types_of_the_tool() -> None:
    parts = {"depth": "12", "deep": "true", "tags": '["a", "b"]', "note": "12"}
    tags = "".join(f"<parameter={name}>\n{value}\n</parameter>\n" for name, value in parts.items())
    [call] = read(f"<function=measure>\n{tags}</function>").tool_calls
    assert call["args"] == {"depth": 12, "deep": True, "tags": ["a", "b"], "note": "12"}


def test_a_call_of_a_tool_that_is_not_offered_now_is_told() -> None:
    answer = with_calls(AIMessage(CALL), Toolbox(BOX.tools, ["measure"]), 1)
    assert isinstance(answer, AIMessage)
    assert "try one of [measure]" in call_problem([answer], answer.tool_calls[0]["id"])


def test_too_many_calls_are_one_problem() -> None:
    answer = read(f"<tool_call>{CALL}</tool_call>" * (MOST_CALLS + 1))
    [call] = answer.tool_calls
    assert f"more than {MOST_CALLS} calls" in call_problem([answer], call["id"])


def test_blocks_of_thoughts_stay_beside_a_call() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "x"}
    answer = with_calls(AIMessage([thought, {"type": "text", "text": f"Look: {CALL}"}]), BOX, 1)
    assert answer.content == [thought, {"type": "text", "text": "Look:"}]


def test_half_a_call_of_an_answer_that_was_cut_off_is_never_made() -> None:
    answer = read("<function=lookup><parameter=lake>Onda</parameter>", is_cut=True)
    assert not answer.tool_calls
    assert answer.invalid_tool_calls


@settings(deadline=None, max_examples=300)
@given(st.text())
def test_no_text_is_an_error(text: str) -> None:
    for shown in (text, f"<tool_call>{text}", f'{{"name": "lookup", "arguments": {text}', f"lookup({text})"):
        read(shown)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(deadline=None)
@given(st.dictionaries(st.text(), _VALUES), st.booleans())
def test_all_arguments_come_through_as_they_were(arguments: dict[str, Any], in_python: bool) -> None:
    call = {"name": "lookup", "arguments": arguments}
    written = repr(call) if in_python else json.dumps(call)
    reading = read_calls(f"<tool_call>{written}</tool_call>", BOX.tools.keys())
    assert reading is not None
    assert [found.arguments for found in reading.calls] == [arguments]


_N = 300_000
_HOSTILE = {
    "brackets": "{" * _N,
    "square brackets": "[" * _N,
    "nested calls": '{"name":' * (_N // 8),
    "marks": "<tool_call>" * (_N // 11),
    "tags": "<function=" * (_N // 10),
    "parameters": "<function=a><parameter=b>" * (_N // 25),
    "fences": "```" * (_N // 3),
    "backticks": "`" * _N,
    "space": " " * _N + '{"name"',
    "an open text": '{"name": "' + "a" * _N,
    "escapes": "<tool_call>{'name': '" + "\\'" * (_N // 2),
    "calls": '{"name":"x","arguments":{}}' * (_N // 27),
    "namespaces": "to=functions." * (_N // 13),
    "python": "[lookup(" + "[(" * (_N // 2),
    "open arguments": "<tool_call>a<arg_key>a</arg_key><arg_value>" * (_N // 44),
    "actions": "Action: x\n" * (_N // 10),
}


@pytest.mark.parametrize("text", _HOSTILE.values(), ids=_HOSTILE)
def test_the_time_grows_with_the_length_of_the_text_only(text: str) -> None:
    def seconds(part: str) -> float:
        began = time.process_time()
        read_calls(part, BOX.tools.keys())
        return time.process_time() - began

    seconds(text[:1000])
    small, large = (min(seconds(part) for _ in range(3)) for part in (text[: len(text) // 8], text))
    # Eight times the text: sixty-four times the time if it grew with the square.
    assert large < 24 * max(small, 0.01)
