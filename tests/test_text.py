"""Token counts are bounds, and shortening loses nothing."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.text import ReadOnNote, count_tokens, excerpt, excerpt_parts, shorten


@given(st.text(max_size=400), st.text(max_size=400))
def test_more_text_never_counts_less(a: str, b: str) -> None:
    assert count_tokens(a + b) >= max(count_tokens(a), count_tokens(b))


def test_digits_count_one_each() -> None:
    assert count_tokens("1234567890" * 10) >= 100


@given(st.text(min_size=1, max_size=3000), st.integers(80, 300))
def test_an_excerpt_fits_its_allowance(text: str, allowance: int) -> None:
    assert count_tokens(excerpt(text, allowance, "k")) <= allowance + 16


@given(st.text(alphabet="ab cd1.", min_size=1, max_size=4000), st.integers(80, 200))
def test_reading_on_from_each_note_gives_the_whole_text(text: str, allowance: int) -> None:
    read, start = "", 0
    while True:
        part = excerpt(text, allowance, "k", start=start)
        body, _, note = part.rpartition("\n[… ") if part.endswith(")]") else (part, "", "")
        read += body
        if not note:
            break
        start = int(note.partition("start=")[2].rstrip(")]"))
        assert start == len(read)
    assert read == text


def test_a_short_text_stays_as_it_is() -> None:
    assert excerpt("short", 100, "k") == "short"


@given(st.text(max_size=30), st.integers(1, 20))
def test_a_shortened_text_has_at_most_as_many_characters(text: str, most: int) -> None:
    short = shorten(text, most)
    assert len(short) <= most or short == text
    assert short == text if len(text) <= most else short == text[: most - 1] + "…"


@given(st.text(min_size=1, max_size=3000), st.integers(80, 300))
def test_the_note_of_an_excerpt_says_where_the_text_goes_on(text: str, allowance: int) -> None:
    shown, written = excerpt_parts(text, allowance, "k")
    body, note = ReadOnNote.split(shown + written)
    if written:
        assert note == ReadOnNote(len(text), "k", len(body))
        assert text == body + text[note.start :]
    else:
        assert shown == text
