"""Documents are found, whatever is asked; the folder is never left; changes are noticed."""

import os
import threading
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from langchain_core.tools import BaseTool
from orchestrator_tools.documents.passages import plain, split
from orchestrator_tools.documents.tools import document_tools, folder_problem


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "papers"
    (place / "deep").mkdir(parents=True)
    (place / "bees.md").write_text("# Bees\n\nInsects.\n\n## Honey\n\nBees make honey.\n\n## Flight\n\nBees fly.\n")
    (place / "deep" / "bears.txt").write_text("Bears like honey and salmon.\n")
    (place / "ants.html").write_text(
        "<html><head><title>x</title><style>p {color: honey}</style></head><body><h1>Ants</h1>"
        "<script>var honey = 1</script><h2>Food</h2><p>Ants eat sugar &amp; seeds.</p></body></html>"
    )
    (place / "photo.md").write_bytes(b"\x89PNG\0\0honey")
    return place


@pytest.fixture
def search(folder: Path) -> BaseTool:
    return document_tools(folder)[0]


@pytest.fixture
def read(folder: Path) -> BaseTool:
    return document_tools(folder)[1]


def test_a_hit_names_its_document_and_heading(search: BaseTool) -> None:
    assert search.invoke({"query": "make honey", "limit": 1}).startswith("1. bees.md > Bees > Honey\nBees make honey.")


def test_finds_in_every_kind_of_file_at_any_depth(search: BaseTool) -> None:
    assert search.invoke({"query": "salmon"}).startswith("1. deep/bears.txt > bears\n")
    assert search.invoke({"query": "seeds"}).startswith("1. ants.html > Ants > Food\nAnts eat sugar & seeds.")


def test_markup_and_binaries_are_not_searched(search: BaseTool) -> None:
    answer = search.invoke({"query": "honey"})
    assert "ants.html" not in answer.split("(not searched")[0]
    assert answer.endswith("(not searched: photo.md (is not a text file))")


def test_word_forms_and_accents_do_not_matter(search: BaseTool) -> None:
    assert "bees.md > Bees > Flight" in search.invoke({"query": "FLYING b\xe9es"}) + search.invoke({"query": "flights"})


def test_passages_with_all_words_come_before_passages_with_some(search: BaseTool) -> None:
    answer = search.invoke({"query": "Which animals like salmon and honey?"})
    assert answer.startswith("1. deep/bears.txt")
    assert "bees.md > Bees > Honey" in answer


def test_nothing_found_says_what_there_is(search: BaseTool) -> None:
    answer = search.invoke({"query": "volcano"})
    assert answer.startswith("Nothing found for 'volcano'")
    assert "ants.html (Ants), bees.md (Bees), deep/bears.txt (bears)" in answer


@pytest.mark.parametrize("limit", [-5, 0, 1, 3, 10**9])
def test_any_limit_is_brought_into_bounds(search: BaseTool, limit: int) -> None:
    answer = search.invoke({"query": "bees honey", "limit": limit})
    assert answer.startswith("1. ")
    assert f"\n\n{max(limit, 1) + 1}. " not in answer


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
@example('"')
@example("honey AND")
@example("NEAR(honey, 2) OR NOT *")
@example('title:honey ^"x')
@example("'; DROP TABLE passages; --")
@example("-honey +bees {a b} (")
@example("\U0001f41d")
@example("")
@example("\ud800 \0")
@example("the of and")
@example("honey " * 5000)
def test_any_query_gets_an_answer(query: str) -> None:
    answer = _SHARED.invoke({"query": query})
    assert answer.startswith(("1. ", "Nothing found"))


_SHARED = document_tools(Path(__file__).resolve().parents[3] / "examples" / "countries", embedder=None)[0]


def test_an_answer_keeps_to_its_length(folder: Path) -> None:
    for number in range(8):
        (folder / f"long{number}.txt").write_text("honey " + "word " * 3_000 + "\n" + "honey" * 2_000)
    search = document_tools(folder, page_characters=900)[0]
    answer = search.invoke({"query": "honey", "limit": 10})
    assert 400 < len(answer) < 1_000


def test_changes_are_noticed(folder: Path, search: BaseTool) -> None:
    assert search.invoke({"query": "volcano"}).startswith("Nothing")
    (folder / "new.md").write_text("# New\n\nA volcano.\n")
    assert search.invoke({"query": "volcano"}).startswith("1. new.md")
    (folder / "new.md").write_text("# New\n\nA glacier, now.\n")
    assert search.invoke({"query": "volcano"}).startswith("Nothing")
    assert search.invoke({"query": "glacier"}).startswith("1. new.md")
    (folder / "new.md").unlink()
    assert search.invoke({"query": "glacier"}).startswith("Nothing")


def test_only_changed_files_are_read_again(folder: Path, search: BaseTool, monkeypatch: pytest.MonkeyPatch) -> None:
    search.invoke({"query": "honey"})
    opened: list[str] = []
    real = os.open

    def counting(path: os.PathLike[str], flags: int, *rest: int) -> int:
        opened.append(Path(path).name)
        return real(path, flags, *rest)

    monkeypatch.setattr(os, "open", counting)
    (folder / "bees.md").write_text("# Bees\n\nOther honey.\n")
    search.invoke({"query": "honey"})
    assert opened == ["bees.md"]


def test_many_threads_at_once_get_the_same(search: BaseTool) -> None:
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda: answers.append(search.invoke({"query": "make honey"}))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(answers) == 8
    assert len(set(answers)) == 1


async def test_the_event_loop_is_not_blocked(search: BaseTool, monkeypatch: pytest.MonkeyPatch) -> None:
    loop_thread = threading.get_ident()
    places: set[int] = set()
    real = os.walk

    def watched(*arguments: object, **options: object) -> object:
        places.add(threading.get_ident())
        return real(*arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "walk", watched)
    assert (await search.ainvoke({"query": "make honey"})).startswith("1. bees.md")
    assert places
    assert loop_thread not in places


def test_making_the_tools_touches_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stat", "open", "scandir", "walk", "lstat"):
        monkeypatch.setattr(os, name, None)
    assert [tool.name for tool in document_tools("nowhere")] == ["search_documents", "read_document"]


@pytest.mark.parametrize("name", ["bees.md", "BEES.md", "Bees", "bees", " bees.md "])
def test_a_document_is_read_by_any_of_its_names(read: BaseTool, name: str) -> None:
    assert read.invoke({"name": name}).startswith("# Bees\n")


def test_a_long_document_is_read_page_by_page(folder: Path) -> None:
    text = "".join(f"Line {number} of the long text.\n" for number in range(500))
    (folder / "long.txt").write_text(text)
    read = document_tools(folder, page_characters=1_000)[1]
    together, start = "", 0
    while True:
        answer = read.invoke({"name": "long", "start": start})
        piece, _, note = answer.partition("\n[… ")
        assert len(piece) <= 1_000
        together += piece.strip("\n") + "\n"
        if not note:
            break
        start = int(note.rsplit("=", 1)[1].rstrip(")]"))
        assert f'read_document(name="long.txt", start={start})' in note
    assert together == text


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("beees.md", "did you mean 'bees.md'?"),
        ("volcano", "there are: ants.html, bees.md, deep/bears.txt"),
        ("photo.md", "not a text file"),
        ("../secret.txt", "there is no document"),
        ("/etc/passwd", "there is no document"),
        ("{0.__class__}", "there is no document"),
        ("", "there is no document"),
    ],
)
def test_a_name_that_cannot_be_read_is_an_error(read: BaseTool, folder: Path, name: str, hint: str) -> None:
    (folder.parent / "secret.txt").write_text("secret")
    answer = read.invoke({"name": name})
    assert answer.startswith("error: ")
    assert hint in answer


def test_a_start_behind_the_end_is_an_error(read: BaseTool) -> None:
    assert "begin with start=0" in read.invoke({"name": "bees.md", "start": 10_000})


def test_links_to_outside_are_not_followed(folder: Path) -> None:
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "secret.md").write_text("# Secret\n\nThe password is swordfish.\n")
    (folder / "link.md").symlink_to(outside / "secret.md")
    (folder / "linked").symlink_to(outside)
    (folder / ".hidden.md").write_text("swordfish")
    (folder / "broken.md").symlink_to(folder / "nothing.md")
    (folder / "circle.md").symlink_to(folder / "circle.md")
    search, read = document_tools(folder)
    assert search.invoke({"query": "swordfish"}).startswith("Nothing found")
    for name in ("linked/secret.md", "Secret"):
        assert read.invoke({"name": name}).startswith("error: there is no document")
    for name in ("link.md", ".hidden.md"):
        assert read.invoke({"name": name}).startswith(f"error: '{name}' is there and is not read")


def test_a_file_that_is_too_large_or_not_readable_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "huge.md").write_bytes(b"honey " * 6_000_000)
    search, read = document_tools(folder)
    assert "huge.md (is larger than the limit of 30,000,000 bytes)" in search.invoke({"query": "volcano"})
    assert "larger than the limit of 30,000,000 bytes" in read.invoke({"name": "huge.md"})


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_that_is_missing_or_empty_is_said_to_be(tmp_path: Path, there: bool) -> None:
    place = tmp_path / "empty"
    if there:
        place.mkdir()
    wanted = "there are no documents" if there else "does not exist"
    for tool, arguments in zip(document_tools(place), ({"query": "x"}, {"name": "x"}), strict=True):
        answer = tool.invoke(arguments)
        assert answer.startswith("error: ")
        assert wanted in answer
    assert wanted in str(folder_problem(place))


def test_a_good_folder_has_no_problem(folder: Path) -> None:
    assert folder_problem(folder) is None
    assert "is a file, not a folder" in str(folder_problem(folder / "bees.md"))


def test_wrong_arguments_come_back_as_text(search: BaseTool, read: BaseTool) -> None:
    assert search.invoke({"limit": "many"}).startswith("error: wrong arguments (query: ")
    assert read.invoke({}).startswith("error: wrong arguments (name: ")


def test_tools_say_what_they_do(search: BaseTool, read: BaseTool) -> None:
    said = {"risk": "read", "effect": "none", "trust": "untrusted", "time_limit_s": 120.0, "output_limit": 3_900}
    assert search.metadata == {**said, "backend": "words"}
    assert read.metadata == said
    for tool in (search, read):
        assert "For example: " in tool.description
        assert all("description" in field for field in tool.args.values())


def test_sections_become_passages() -> None:
    title, passages = split(
        "Start.\n\n# Title\n\nIntro.\n\n## A\n\none\n\n### B\n\ntwo\n\n## C\n\n```\n# no heading\n```\n", "x"
    )
    assert title == "Title"
    assert [(item.heading, item.body) for item in passages] == [
        ("", "Start.\n\n\nIntro."),
        ("A", "one"),
        ("A > B", "two"),
        ("C", "```\n# no heading\n```"),
    ]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 500), max_size=8))
def test_no_passage_is_long_and_no_word_is_lost(paragraphs: list[int]) -> None:
    words = iter(range(10_000))
    text = "\n\n".join(" ".join(f"w{next(words)}" for _ in range(count)) for count in paragraphs)
    _, passages = split(text, "x")
    assert " ".join(item.body for item in passages).split() == text.split()
    assert all(len(item.body.split()) <= 200 for item in passages)


def test_html_becomes_text() -> None:
    html = "<h2>A<br>b</h2><ul><li>one<li>two</ul><table><tr><td>1<td>2</table><p>x &lt; y<!-- no --></p>"
    assert plain("x.html", html).split() == [
        "##",
        "A",
        "b",
        "-",
        "one",
        "-",
        "two",
        "|",
        "1",
        "|",
        "2",
        "x",
        "<",
        "y",
    ]
