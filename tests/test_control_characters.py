"""Control, bidi and unseen characters are shown at every output, and stay as they are in what is stored."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import Run
from orchestrator.control_characters import visible, visible_json

HOSTILE = (
    "\x1b]52;c;cm0gLXJm\x07 \x1b[2A\x1b[2K \x9b31m \x90q\x9c \u202egnp.exe\u2066 \u200b\ufeff \U000e0041 \x7f \b\r"
)


def commands_in(text: str) -> list[str]:
    """The characters of a text that a terminal obeys, or that nobody sees."""
    obeyed = [*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F)]
    unseen = [0x200B, *range(0x2060, 0x2070), 0xFEFF, *range(0xE0000, 0xE0080), 0x2028, 0x2029]
    return [character for character in text if ord(character) in {*obeyed, *unseen}]


JOINED = "naïve · 日本 · 👩\u200d🚀 · \u0645\u06cc\u200c\u062e"  # Persian and emoji are written with joiners


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\tb\nc", "a\tb\nc"),
        ("a\r\nb", "a\nb"),
        ("50 %\rdone", "50 %␍done"),
        ("\x1b[31mred", "␛[31mred"),
        ("\x9b31m", "<U+009B>31m"),
        ("\u202eexe.doc", "<U+202E>exe.doc"),
        (JOINED, JOINED),
    ],
)
def test_a_character_that_is_obeyed_becomes_a_sign_for_itself(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text() | st.text(st.sampled_from(HOSTILE + "ab\n")))
def test_nothing_is_left_that_is_obeyed_or_unseen(text: str) -> None:
    assert commands_in(visible(text)) == []
    assert visible(visible(text)) == visible(text)


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.text(st.sampled_from(HOSTILE)))
def test_json_has_escapes_for_them_and_parses_to_the_same_text(text: str) -> None:
    line = visible_json({"a": [text]})
    assert commands_in(line) == []
    assert json.loads(line) == {"a": [text]}


def test_a_run_in_a_notebook_or_printed_shows_them_too() -> None:
    run = Run("t", "done", task="x", answer=f"It is {HOSTILE}", errors=(HOSTILE,))
    assert commands_in(str(run)) == []
    assert commands_in(run._repr_html_()) == []
    assert run.answer.endswith(HOSTILE), "the value itself is whole"
