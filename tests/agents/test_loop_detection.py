"""Repetitions are found by rule, and honest work is left alone."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.graph import MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from orchestrator.agents.loop_detection import normal_arguments, repetitions
from orchestrator.text import bare_words, excerpt_parts, same_text
from orchestrator.trust import as_data

Call = tuple[str, dict[str, Any], str]
PAGE = "Iceland is an island in the North Atlantic, with volcanoes, glaciers, hot springs and about 390,000 people. "


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
    assert found.what == (
        "you called search(query='Iceland') 2 times, and the answer is the same; it will be the same again."
    )


def test_every_further_time_is_told_with_how_often_it_was() -> None:
    found = repetitions(conversation(*[search("Iceland", "an island")] * 4))
    assert [one.what.split(" times")[0][-1] for one in found] == ["2", "3", "4"]


def test_long_arguments_are_shortened_in_what_is_told() -> None:
    code = [step(("python", {"code": "x = 1\n" * 500}, PAGE))] * 2
    (found,) = repetitions(conversation(*code))
    assert len(found.what) < 250


@pytest.mark.parametrize(
    "again",
    [
        {"query": " iceland  Area?", "k": 3},
        {"k": 3.0, "query": "Iceland area"},
        {"k": "3", "query": "Iceland\narea", "filter": None},
        {"k": 3, "query": '"Iceland area".', "tags": []},
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


@pytest.mark.parametrize("query", ["C", "C#", "c--"])
def test_signs_that_carry_meaning_make_another_call(query: str) -> None:
    assert kinds(search("C++", "nothing found"), search(query, "nothing found")) == []


def test_a_step_is_the_same_in_whatever_order_it_makes_its_calls() -> None:
    one, other = ("search", {"query": "a"}, "x"), ("read", {"name": "b"}, "y")
    assert kinds(step(one, other), step(other, one)) == ["call"]
    between = search("c", "z")
    assert kinds(step(one, other), between, step(other, one), between) == ["call", "cycle"]


@pytest.mark.parametrize("nothing", ["nothing found", "No results.", "[]", "0 rows", as_data("No matches", "search")])
def test_searches_that_find_nothing_are_results_until_there_are_too_many(nothing: str) -> None:
    empty = [search(f"word {number}", nothing) for number in range(7)]
    assert kinds(*empty[:3]) == []
    assert [found.at for found in repetitions(conversation(*empty))] == [7, 13]  # the fourth; then three more later


@pytest.mark.parametrize(
    "short", ["ok", "true", "no", "", "4", "(the code ran; it printed nothing, and its last line has no value)"]
)
def test_short_answers_say_something_of_their_own_call_only(short: str) -> None:
    assert kinds(*[step(("write", {"path": f"{n}.md", "text": f"part {n}"}, short)) for n in range(9)]) == []


def test_other_calls_that_bring_the_same_texts_twice_in_a_row_are_told_so() -> None:
    assert kinds(search("Iceland", PAGE), search("the island", PAGE)) == []
    assert kinds(search("Iceland", PAGE), search("the island", PAGE), search("volcanoes", PAGE)) == ["nothing_new"]


def test_the_same_text_from_another_tool_is_not_new() -> None:
    steps = [step((name, {"query": name}, as_data(PAGE, name))) for name in ("search", "fetch", "look_up")]
    assert kinds(*steps) == ["nothing_new"]


def test_a_long_answer_is_the_same_although_each_call_keeps_its_rest_under_a_key_of_its_own() -> None:
    def long(key: str, text: str) -> list[BaseMessage]:
        shown, note = excerpt_parts(text, 100, key)
        assert key in note
        return step(("fetch", {"url": "https://example.org"}, as_data(shown, "fetch") + note))

    assert kinds(long("call-a-1", PAGE * 50), long("call-a-2", PAGE * 50)) == ["call"]
    assert kinds(long("call-a-1", PAGE * 50), long("call-a-2", PAGE * 51)) == []


def test_marks_inside_a_text_are_part_of_it() -> None:
    assert kinds(search("x", '<data value="1">a</data>'), search("x", '<data value="2">a</data>')) == []


def test_other_pictures_with_the_same_caption_are_another_answer() -> None:
    def picture(address: str) -> list[BaseMessage]:
        asked, answer = step(("screenshot", {}, ""))
        blocks: list[str | dict[str, Any]] = [
            {"type": "text", "text": "the screen"},
            {"type": "image_url", "image_url": {"url": address}},
        ]
        answer.content = blocks
        return [asked, answer]

    assert kinds(picture("data:image/png;base64,AA"), picture("data:image/png;base64,BB")) == []
    assert kinds(picture("data:image/png;base64,AA"), picture("data:image/png;base64,AA")) == ["call"]


@pytest.mark.parametrize("period", [2, 3])
def test_cycles_are_found(period: int) -> None:
    steps = [search(f"q{at % period}", f"a{at % period}") for at in range(2 * period)]
    assert kinds(*steps)[-1] == "cycle"


@pytest.mark.parametrize("period", [2, 3])
def test_a_cycle_is_told_once_for_each_time_round(period: int) -> None:
    steps = [search(f"q{at % period}", f"a{at % period}") for at in range(5 * period)]
    told = [(found.at - 1) // 2 + 1 for found in repetitions(conversation(*steps)) if found.kind == "cycle"]
    assert told == [2 * period, 3 * period, 4 * period, 5 * period]
    assert kinds(*steps) == ["call"] * (period - 1) + ["cycle"] * 4


def test_leaving_a_cycle_is_honest_work_and_what_is_repeated_after_it_is_found() -> None:
    around = [search(f"q{at % 2}", f"a{at % 2}") for at in range(4)]
    assert kinds(*around, search("new", "n")) == ["call", "cycle"]
    assert kinds(*around, search("q1", "a1")) == ["call", "cycle", "call"]


def test_the_same_error_again_is_a_repetition_whatever_the_arguments() -> None:
    first = step(("write", {"path": "a"}, "error: disk full"), error=True)
    second = step(("write", {"path": "b"}, "error: disk full"), error=True)
    assert kinds(first, second) == ["error"]


def test_a_step_that_also_brought_something_is_going_on_in_spite_of_an_error() -> None:
    def half(number: int) -> list[BaseMessage]:
        dead = ("fetch", {"url": f"https://example.org/{number}"}, "error: the page answers with status 404")
        return step(dead, ("search", {"query": number}, f"{number} found"))

    assert kinds(*[half(number) for number in range(5)]) == []


def test_after_a_word_about_an_error_another_try_with_other_arguments_is_left_alone() -> None:
    def dead(name: str) -> list[BaseMessage]:
        return step(("fetch", {"url": name}, as_data("error: the page answers with status 404", "fetch")))

    links = [dead(name) for name in ("one", "two", "three", "four")]
    assert [found.at for found in repetitions(conversation(*links))] == [3, 7]
    assert kinds(links[0], search("more links", "three and four"), links[1]) == []


def test_the_address_of_an_object_does_not_make_another_error() -> None:
    first, second = (
        step(("run", {"code": code}, f"error: <Job at {place}> failed"), error=True)
        for code, place in [("a", "0x7f01"), ("b", "0x7f02")]
    )
    assert kinds(first, second) == ["error"]


@tool
def look_up(word: str) -> str:
    """Looks a word up."""
    return f"{word} is a word"


def carried_out(*calls: tuple[str, dict[str, Any]]) -> list[str]:
    """The kinds of what LangGraph's own tool node makes of these calls, one step each."""
    graph = StateGraph(MessagesState).add_node("tools", ToolNode([look_up])).set_entry_point("tools").compile()
    messages: list[BaseMessage] = []
    for number, (name, args) in enumerate(calls):
        asked = AIMessage("", tool_calls=[{"name": name, "args": args, "id": str(number)}])
        messages += graph.invoke({"messages": [asked]})["messages"]
    return [found.kind for found in repetitions(messages)]


def test_a_wrong_tool_name_gets_help_once() -> None:
    assert carried_out(("google", {"q": "x"})) == []
    assert carried_out(("google", {"q": "x"}), ("google", {"q": "y"}), ("google", {"q": "z"})) == ["error", "error"]
    assert carried_out(("google", {"q": "x"}), ("look_up", {"word": "a"}), ("google", {"q": "y"})) == ["error"]
    assert carried_out(("google", {"q": "x"}), ("bing", {"q": "x"})) == []


def test_wrong_arguments_get_help_once() -> None:
    assert carried_out(("look_up", {"q": "x"}), ("look_up", {"word": "x"})) == []
    assert carried_out(("look_up", {"q": "x"}), ("look_up", {"text": "y"}), ("look_up", {"w": 1})) == ["error", "error"]


def test_wrong_arguments_are_forgiven_once_the_tool_was_called_properly() -> None:
    assert carried_out(("look_up", {"q": "x"}), ("look_up", {"word": "x"}), ("look_up", {"text": "y"})) == []


def test_the_beginning_of_a_conversation_has_nothing_in_it() -> None:
    assert repetitions([]) == []
    assert repetitions(conversation()) == []


def test_steps_that_are_not_answered_yet_do_not_count() -> None:
    messages = conversation(search("a", "x"), search("a", "x"))[:-1]
    assert repetitions(messages) == []


def test_answers_belong_to_the_message_before_them_though_a_model_gives_every_call_the_same_id() -> None:
    same_id = [*search("status", "running"), *search("status", "done"), *search("status", "done")]
    assert [(found.kind, found.at) for found in repetitions(same_id)] == [("call", 4)]


def test_calls_of_one_message_that_share_an_id_have_their_answers_in_order() -> None:
    asked, *answers = step(("search", {"query": "a"}, "x"), ("search", {"query": "b"}, "y"))
    assert isinstance(asked, AIMessage)
    for call in asked.tool_calls:
        call["id"] = "0"
    together = [asked, *(ToolMessage(answer.text, tool_call_id="0") for answer in answers)]
    assert [found.at for found in repetitions([*together, *search("a", "x")])] == [3]
    assert repetitions([*together, *search("a", "y")]) == []


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
    history = conversation(*steps_of(before))
    found = repetitions(conversation(*steps_of(before), *steps_of(pattern * times)))
    assert any(one.at >= len(history) for one in found)


DISTINCT = st.lists(
    st.lists(st.tuples(NAMES, st.integers()), min_size=1, max_size=3),
    max_size=12,
).filter(lambda steps: len({call for one in steps for call in one}) == sum(map(len, steps)))


@given(DISTINCT, st.sampled_from(["answer {}", PAGE + "{}", "error: no file '{}'", "nothing found for {}"]))
def test_different_calls_with_different_answers_are_never_flagged(
    asked: list[list[tuple[str, int]]], wording: str
) -> None:
    steps = [
        step(*[(name, {"of": n}, wording.format(f"{name} {n}")) for name, n in one], error="error" in wording)
        for one in asked
    ]
    assert kinds(*steps) == []


FEW = st.lists(st.tuples(NAMES, st.integers(0, 2), st.integers(0, 2)), max_size=14)


@settings(max_examples=60)
@given(history=FEW, ids=st.booleans(), wording=st.sampled_from(["{}", PAGE + "{}", "error: {}", "0 rows {}"]))
def test_what_was_found_does_not_change_as_the_conversation_goes_on(
    history: list[tuple[str, int, int]], ids: bool, wording: str
) -> None:
    steps = [step((name, {"at": args}, wording.format(answer))) for name, args, answer in history]
    messages = conversation(*steps) if ids else [message for one in steps for message in one]
    whole = repetitions(messages)
    for length in range(len(messages)):
        part = repetitions(messages[:length])
        assert whole[: len(part)] == part
        assert all(found.at < length - 1 for found in part)
    assert len({found.at for found in whole}) == len(whole)


@given(history=FEW, noise=st.sampled_from(["  {} ", "{}.", '"{}"', "{}\n"]))
def test_noise_in_the_arguments_changes_nothing_that_is_found(history: list[tuple[str, int, int]], noise: str) -> None:
    plain = [step((name, {"at": str(args), "word": "a b"}, f"{answer}")) for name, args, answer in history]
    noisy = [
        step((name, {"none": None, "word": noise.format("A  b"), "at": float(args)}, f"{answer}")) if at % 2 else one
        for at, ((name, args, answer), one) in enumerate(zip(history, plain, strict=True))
    ]
    assert [(f.kind, f.at) for f in repetitions(conversation(*noisy))] == [
        (f.kind, f.at) for f in repetitions(conversation(*plain))
    ]


@given(st.dictionaries(st.text("abc", min_size=1), st.one_of(st.integers(), st.text("ab c", min_size=1)), max_size=4))
def test_order_space_and_case_make_no_difference(args: dict[str, Any]) -> None:
    noisy = {k: f"  {v} ".upper() if isinstance(v, str) else v for k, v in reversed(list(args.items()))}
    assert normal_arguments(args) == normal_arguments(noisy)


def test_answers_are_compared_exactly_but_for_space_and_remarks_by_their_words() -> None:
    assert same_text("return a + b\n", "return  a + b")
    assert not same_text("return a + b", "return a - b")
    assert not same_text("", " ")
    assert bare_words("Please give the SOURCE.") == bare_words("please, give the source")
    assert bare_words("give the source") != bare_words("give the sources")
