"""Whatever was not looked into is told, by number, kind and name: nothing found never looks like not read."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_tools.documents.not_read import not_read
from orchestrator_tools.documents.tools import document_tools, folder_problem

FOUND = "The turnover of Zyxel was 88 million."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "docs"
    place.mkdir()
    (place / "notes.md").write_text("# Notes\n\nThe meeting was on Monday.\n")
    return place


def nothing_found(folder: Path) -> str:
    answer = str(document_tools(folder, embedder=None)[0].invoke({"query": "turnover"}))
    assert answer.startswith("Nothing found")
    return answer


TEXTS = (
    *("data.json", "data.jsonl", "log.log", "config.yaml", "a.toml", "x.xml", "s.srt", "NOTES", "model.py", "q.sql"),
    *("a.tex", "letter.adoc", "Makefile", "table.csv", "UPPER.TXT", "a.unknown-ending"),
)


@pytest.mark.parametrize("name", TEXTS)
def test_any_text_is_read_whatever_its_ending(folder: Path, name: str) -> None:
    (folder / name).write_text(f"{FOUND}\n")
    search, read = document_tools(folder, embedder=None)
    assert "88 million" in search.invoke({"query": "turnover of Zyxel"})
    assert "88 million" in read.invoke({"name": name})


def test_a_comment_of_code_is_no_heading(folder: Path) -> None:
    (folder / "model.py").write_text("# turnover\nx = 1\n")
    assert "model.py > model\n# turnover\nx = 1" in document_tools(folder)[0].invoke({"query": "turnover"})


def test_files_of_other_kinds_are_counted_by_kind(folder: Path) -> None:
    for number in range(5):
        (folder / f"p{number}.JPG").write_bytes(b"x")
    (folder / "all.zip").write_bytes(b"PK")
    (folder / "film.mp4").write_bytes(b"x")
    answer = nothing_found(folder)
    assert "pictures: 5 (p0.JPG, p1.JPG, p2.JPG, p3.JPG, p4.JPG)" in answer
    assert "archives: 1 (all.zip)" in answer
    assert "sounds and films: 1 (film.mp4)" in answer
    assert "is there and is not read: it is among pictures" in document_tools(folder)[1].invoke({"name": "p0.JPG"})


def test_a_file_that_is_no_text_is_named_with_its_reason(folder: Path) -> None:
    (folder / "data.unknown").write_bytes(bytes(range(256)))
    assert "data.unknown (is not a text file)" in nothing_found(folder)


def test_links_pipes_and_names_that_cannot_be_written_are_told(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "a.md").write_text(FOUND)
    (folder / "a.md").symlink_to(tmp_path / "store" / "a.md")
    (folder / "store").symlink_to(tmp_path / "store")
    os.mkfifo(folder / "pipe.md")
    (folder / os.fsdecode(b"bericht-\xfc.md")).write_text(FOUND)
    answer = nothing_found(folder)
    assert "links that lead out of the folder or nowhere: 1 (a.md)" in answer
    assert "links to folders: 1 (store)" in answer
    assert "pipes, sockets or devices: 1 (pipe.md)" in answer
    assert r"files whose names cannot be written: 1 (bericht-\xfc.md)" in answer


def test_hidden_files_are_counted_where_nothing_was_found(folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / ".env").write_text("x")
    answer = nothing_found(folder)
    assert "hidden folders: 1 (.git)" in answer
    assert "hidden files: 1 (.env)" in answer
    assert "hidden" not in document_tools(folder)[0].invoke({"query": "meeting"})


@pytest.mark.skipif(os.geteuid() == 0, reason="root opens every folder")
def test_a_folder_that_cannot_be_opened_is_told(folder: Path) -> None:
    (folder / "closed").mkdir()
    (folder / "closed").chmod(0)
    try:
        assert "folders that cannot be opened: 1 (closed)" in nothing_found(folder)
    finally:
        (folder / "closed").chmod(stat.S_IRWXU)


def test_pictures_take_the_place_of_no_document(folder: Path) -> None:
    for number in range(10_050):
        (folder / f"a{number:05}.jpg").touch()
    (folder / "z-report.md").write_text(FOUND)
    assert "88 million" in document_tools(folder, embedder=None)[0].invoke({"query": "turnover"})


def test_documents_beyond_the_bound_are_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator_tools.documents.library._MOST_FILES", 2)
    for name in ("x1.md", "x2.md", "x3.md"):
        (folder / name).write_text(FOUND)
    (folder / "x1.md").write_text("nothing")
    assert "files beyond the first 2: 2 (x2.md, x3.md)" in nothing_found(folder)


def test_a_folder_of_pictures_says_so_before_a_run(tmp_path: Path) -> None:
    (tmp_path / "scan.png").write_bytes(b"x")
    problem = folder_problem(tmp_path)
    assert problem is not None
    assert problem.endswith("(not searched: pictures: 1 (scan.png))")


def test_beside_passages_the_note_is_short(folder: Path) -> None:
    for number in range(200):
        (folder / f"a-rather-long-name-of-a-picture-{number}.png").touch()
        (folder / f"a-rather-long-name-of-a-broken-file-{number}.pdf").write_bytes(b"x")
        if number == 2:
            break
    answer = document_tools(folder)[0].invoke({"query": "meeting"})
    assert len(answer.rpartition("(not searched")[2]) < 260


NAMES = st.lists(st.text(max_size=30), max_size=20)


@given(st.dictionaries(st.text(max_size=30), NAMES.filter(bool)), st.dictionaries(st.text(), st.text()), st.booleans())
def test_a_note_keeps_to_its_length_and_is_there_when_something_was_left(
    passed: dict[str, list[str]], unread: dict[str, str], is_short: bool
) -> None:
    notes = not_read(passed, unread, {}, is_short=is_short)
    assert bool(notes) == bool(unread or any(not (is_short and kind.startswith("hidden")) for kind in passed))
    assert all(len(note) < 1_200 for note in notes)
