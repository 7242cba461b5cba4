"""The words of the final answer stream without references: joined, they are the bare answer, however they come."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage

from orchestrator.events import Event, TextDelta, TextVoided
from orchestrator.memory.reference import ReferenceFilter, split_references
from orchestrator.model_calls.text_stream import TextStream

IDS = ("t1", "t2", "1.t1")
MARKS = ("[t1]", "[t1, t2]", " [t9]", "[1.t1] and [t2]", "(see [t1])", "](http://a.example)", "t1", "t2")
WORDS = ("It is 5", "as ", "by ", "Sources: ", "From", "\n\n", "```", "- ", "1. ", "word ", "a", "and ", "é")
PARTS = st.sampled_from([*"[]()`.,;:*-#_ \n&|", *MARKS, *WORDS])
TEXTS = st.lists(PARTS, max_size=30).map("".join)


def streamed(chunks: list[str], text: str) -> tuple[str, list[Event]]:
    """Return the text that a listener has at the end, and the events."""
    events: list[Event] = []
    stream = TextStream(events.append, "supervisor", references=ReferenceFilter(IDS))
    stream.begin()
    listener: Any = stream._listener
    for chunk in chunks:
        stream._take(listener, chunk)
    stream.finish(AIMessage(text))
    shown: dict[str, str] = {}
    for event in events:
        if isinstance(event, TextDelta):
            shown[event.stream] = shown.get(event.stream, "") + event.text
        elif isinstance(event, TextVoided):
            del shown[event.stream]
    assert len(shown) <= 1
    return "".join(shown.values()), events


def cut(text: str, cuts: list[int]) -> list[str]:
    bounds = [0, *sorted(at for at in cuts if at < len(text)), len(text)]
    return [text[a:b] for a, b in pairwise(bounds)]


@given(TEXTS, st.lists(st.integers(0, 120), max_size=30))
def test_any_pieces_of_any_text_give_what_the_whole_gives(text: str, cuts: list[int]) -> None:
    shown, _ = streamed(cut(text, cuts), text)
    assert shown == split_references(text, IDS)[0]


ANSWERS = [
    "It is 5.\n\nFrom: [t2] [t1]",
    "It is 5.\n**Sources:** [t1], [t2].",
    "It is 5 [t1] and 6 [t2]. So it is 11 in all, which is more.",
    "It is 5 [t1] and [t2]; surely (see [t1]).",
    "As [t1] says, it is 5[t2].",
    "[t1]: five\n- [t2] six\n1. [1.t1]: seven",
    "# Title\n\nA | B [t1]\n\nC [t1, t2] goes on.\n\n---\n\nSources: [t1] and [t2]\n",
    "Use `row[t1]`, or [t1](https://a.example), as it is said.\n```\n[t2]\nx = y[t1]\n```\nDone [t1].",
    "See note [1] and [t9], and [what else] there is (or not).",
]


@pytest.mark.parametrize("text", ANSWERS)
def test_ordinary_answers_are_told_as_they_come_and_nothing_is_taken_back(text: str) -> None:
    shown, events = streamed(list(text), text)
    assert shown == split_references(text, IDS)[0]
    assert not [event for event in events if isinstance(event, TextVoided)]
    assert "[t1]" not in "".join(event.text for event in events if isinstance(event, TextDelta)) or "`" in text


def test_a_long_answer_streams_while_it_comes() -> None:
    text = "The lake is deep and cold [t1]. " * 200
    shown, events = streamed(list(text), text)
    assert shown == split_references(text, IDS)[0]
    assert len(events) > 1000
