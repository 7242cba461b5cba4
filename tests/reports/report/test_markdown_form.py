"""A report in Markdown reads well as it is, and no text in it becomes markup."""

import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from orchestrator import OrchestratorClient
from orchestrator.reports.report.markdown_form import fenced, inline
from tests.reports.test_html import HOSTILE
from tests.support.reported import lakes

MARKUP = [
    *HOSTILE,
    "```\n# no heading\n```",
    "| a | b |",
    "[x](javascript:alert(1))",
    "# heading",
    "1. one",
    "* a_b_c *",
]


def markdown_of(db: Path) -> str:
    with OrchestratorClient(str(db)) as client:
        return client.report("t", "md")


def tokens(text: str) -> list[tuple[str, str]]:
    """Return what a program that takes HTML makes of a text, but for our own anchors."""
    parsed = MarkdownIt("commonmark").enable("table").parse(text)
    children = [child for token in parsed for child in (token, *(token.children or ()))]
    return [(token.type, token.content) for token in children if not re.match(r"</?a[ >]", token.content)]


def test_it_tells_what_happened_under_headings(tmp_path: Path) -> None:
    lakes(tmp_path / "x.db")
    text = markdown_of(tmp_path / "x.db")
    headings = re.findall(r"^## (.*)$", text, re.M)
    parts = ["Answer", "The plan as it was carried out", "Decisions", "Results", "Models and cost", "How it was made"]
    assert headings == parts
    assert "> answer seven lakes" in text
    assert re.search(r"^- .*\*\*mira\*\* rejected the result of sum$", text, re.M)
    assert "reason seven lakes" in text
    assert 'look(place="south")' in text
    assert "| [sum](#s1-2) | worker | [found](#s1-1) | succeeded | 2 |" in text


def test_every_link_leads_to_a_place_that_there_is(tmp_path: Path) -> None:
    lakes(tmp_path / "x.db")
    text = markdown_of(tmp_path / "x.db")
    places = re.findall(r'<a id="([^"]+)"></a>', text)
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= set(places)
    assert len(places) == len(set(places))
    assert "[look](#s1-1-a1-c1)" in text


@pytest.mark.parametrize("words", MARKUP)
def test_words_on_a_line_are_no_markup(words: str) -> None:
    kinds = {kind for kind, _ in tokens(inline(words))}
    assert kinds <= {"paragraph_open", "inline", "text", "paragraph_close", "text_special"}


@pytest.mark.parametrize("words", [*MARKUP, "````", "`a` ``` b"])
def test_nothing_gets_out_of_a_fence(words: str) -> None:
    [(kind, content)] = tokens("\n".join(fenced(words)))
    assert kind == "fence"
    assert len(content.splitlines()) == len(words.splitlines())


@pytest.mark.parametrize("words", HOSTILE)
def test_a_hostile_run_holds_no_html(tmp_path: Path, words: str) -> None:
    lakes(tmp_path / "x.db", words, task=words)
    text = markdown_of(tmp_path / "x.db")
    assert not [content for kind, content in tokens(text) if kind in ("html_inline", "html_block", "image")]
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e]", text)


def test_an_answer_with_a_picture_is_given_verbatim(tmp_path: Path) -> None:
    lakes(tmp_path / "x.db", "![p](https://lakes.example/p.png)")
    assert "```text\nanswer ![p](https://lakes.example/p.png)\n```" in markdown_of(tmp_path / "x.db")
