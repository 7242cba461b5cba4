"""Repetitions are found by rule, and honest work is left alone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from orchestrator.loops import normal_arguments, repetitions, same_text, same_words

Call = tuple[str, dict[str, Any], str]


def step(*calls: Call, error: bool = False) -> list[BaseMessage]:
    """One message of the model with these calls, and their answers."""
    asked = [{"name": name, "args": args, "id": f"{name}{at}"} for at, (name, args, _) in enumerate(calls)]
    answers = [
        ToolMessage(answer, tool_call_id=f"{name}{at}", name=name, status="error" if error else "success")
        for at, (name, _, answer) in enumerate(calls)
    ]
    return [AIMessage("", tool_calls=asked), *answers]


def conversation(*steps: list[BaseMessage]) -> list[BaseMessage]:
    """The steps one after the other, each with call ids of its own."""
    messages: list[BaseMessage] = [HumanMessage("Sub-task a: look")]
    for number, one in enumerate(steps):
        for message in one:
            copy = message.model_copy(deep=True)
            if isinstance(copy, AIMessage):
                for call in copy.tool_calls:
                    call["id"] = f"{number}-{call['id']}"
            elif isinstance(copy, ToolMessage):
                copy.tool_call_id = f"{number}-{copy.tool_call_id}"
            messages.append(copy)
    return messages


def kinds(*steps: list[BaseMessage]) -> list[str]:
    return [found.kind for found in repetitions(conversation(*steps))]


def search(query: str, answer: str) -> list[BaseMessage]:
    return step(("search", {"query": query}, answer))


def test_the_same_call_with_the_same_answer_is_a_repetition_and_says_so() -> None:
    (found,) = repetitions(conversation(search("Iceland", "an island"), search("Iceland", "an island")))
    assert (found.kind, found.at) == ("call", 3)
    assert found.what == "you called search(query='Iceland') before, and the answer is the same."


@pytest.mark.parametrize(
    "again",
    [
        {"query": " iceland  Area?", "k": 3},
        {"k": 3.0, "query": "Iceland area"},
        {"k": "3", "query": "Iceland\narea", "filter": None},
        {"k": 3, "query": '"Iceland area"', "tags": []},
    ],
)
def test_near_duplicates_are_the_same_call(again: dict[str, Any]) -> None:
    first = {"query": "Iceland area", "k": 3}
    assert kinds(step(("search", first, "x")), step(("search", again, "x"))) == ["call"]


def test_the_same_call_with_another_answer_is_honest_work() -> None:
    assert kinds(search("status", "running"), search("status", "done")) == []


def test_reading_on_is_honest_work() -> None:
    pages = [step(("read", {"name": "a.md", "start": at}, f"page {at}")) for at in range(8)]
    assert kinds(*pages) == []


def test_searches_that_find_nothing_are_results_until_there_are_too_many() -> None:
    empty = [search(word, "nothing found") for word in ("one", "two", "three", "four", "five")]
    assert kinds(*empty[:3]) == []
    assert kinds(*empty) == ["nothing_new", "nothing_new"]


@pytest.mark.parametrize("period", [2, 3])
def test_cycles_are_found(period: int) -> None:
    steps = [search(f"q{at % period}", f"a{at % period}") for at in range(2 * period)]
    assert kinds(*steps)[-1] == "cycle"


def test_the_same_error_again_is_a_repetition_whatever_the_arguments() -> None:
    first = step(("write", {"path": "a"}, "error: disk full"), error=True)
    second = step(("write", {"path": "b"}, "error: disk full"), error=True)
    assert kinds(first, second) == ["error"]


def test_a_wrong_tool_name_gets_help_once() -> None:
    wrong = step(("google", {"q": "x"}, "Error: google is not a valid tool, try one of [search]."), error=True)
    other = step(("google", {"q": "y"}, "Error: google is not a valid tool, try one of [search]."), error=True)
    assert kinds(wrong) == []
    assert kinds(wrong, other) == ["error"]


def test_steps_that_are_not_answered_yet_do_not_count() -> None:
    messages = conversation(search("a", "x"), search("a", "x"))[:-1]
    assert repetitions(messages) == []


def test_a_step_with_something_new_beside_something_old_is_honest_work() -> None:
    old = ("search", {"query": "a"}, "x")
    assert kinds(step(old), step(old, ("search", {"query": "b"}, "y"))) == []


NAMES = st.sampled_from(["search", "read", "run"])
PATTERNS = st.lists(st.tuples(NAMES, st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=3)
HISTORIES = st.lists(st.tuples(NAMES, st.integers(0, 50), st.integers(0, 50)), max_size=12)


def steps_of(history: list[tuple[str, int, int]]) -> list[list[BaseMessage]]:
    return [step((name, {"at": args}, f"answer {answer}")) for name, args, answer in history]


@given(before=HISTORIES, pattern=PATTERNS, times=st.integers(3, 5))
def test_every_pattern_that_goes_on_is_found(
    before: list[tuple[str, int, int]], pattern: list[tuple[str, int, int]], times: int
) -> None:
    answers = {(name, at): answer for name, at, answer in pattern}  # one call has one answer while it repeats
    loop = [(name, at, answers[name, at]) for name, at, _ in pattern] * times
    assert repetitions(conversation(*steps_of(before), *steps_of(loop)))


@given(st.lists(st.integers(), min_size=1, max_size=15, unique=True))
def test_different_calls_with_different_answers_are_never_flagged(numbers: list[int]) -> None:
    assert kinds(*[search(f"query {n}", f"answer {n}") for n in numbers]) == []


@given(history=HISTORIES, length=st.integers(0, 12))
def test_what_was_found_does_not_change_as_the_conversation_goes_on(
    history: list[tuple[str, int, int]], length: int
) -> None:
    whole = repetitions(conversation(*steps_of(history)))
    part = repetitions(conversation(*steps_of(history[:length])))
    assert whole[: len(part)] == part


@given(st.dictionaries(st.text("abc", min_size=1), st.one_of(st.integers(), st.text("ab c", min_size=1)), max_size=4))
def test_order_space_and_case_make_no_difference(args: dict[str, Any]) -> None:
    noisy = {k: f"  {v} ".upper() if isinstance(v, str) else v for k, v in reversed(list(args.items()))}
    assert normal_arguments(args) == normal_arguments(noisy)


def test_answers_are_compared_exactly_but_for_space_and_remarks_by_their_words() -> None:
    assert same_text("return a + b\n", "return  a + b")
    assert not same_text("return a + b", "return a - b")
    assert not same_text("", " ")
    assert same_words("Please give the SOURCE.", "please, give the source")
    assert not same_words("give the source", "give the sources")
