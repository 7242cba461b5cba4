"""The files of a folder can be read, nothing else can, and a pipe or a device blocks nobody."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.tools import ToolException
from orchestrator_tools.answers import page
from orchestrator_tools.documents.folder import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "work"
    (place / "data").mkdir(parents=True)
    (place / "a.txt").write_text("alpha\n")
    (place / "data" / "b.csv").write_text("x,y\n1,2\n")
    (tmp_path / "secret.txt").write_text("swordfish")
    (place / ".env").write_text("swordfish")
    (place / "picture.png").write_bytes(b"\x89PNG\0\0")
    (place / "link.txt").symlink_to(tmp_path / "secret.txt")
    (place / "up").symlink_to(tmp_path)
    (place / "env.txt").symlink_to(place / ".env")
    (place / "same.txt").symlink_to(place / "a.txt")
    (place / "circle").symlink_to(place / "circle")
    os.mkfifo(place / "pipe")
    return place


def read(folder: Path, name: str) -> str:
    """The text, or the error that a model is shown."""
    try:
        return Folder(folder).read(name)
    except ToolException as error:
        return str(error)


def names(folder: Path) -> list[str]:
    return [fact.name for fact in Folder(folder).files()]


def test_lists_what_can_be_read(folder: Path) -> None:
    assert names(folder) == ["a.txt", "env.txt", "picture.png", "same.txt", "data/b.csv"]


@pytest.mark.parametrize("path", ["a.txt", "./a.txt", "same.txt", " a.txt "])
def test_reads_a_file(folder: Path, path: str) -> None:
    assert read(folder, path) == "alpha\n"


def test_reads_in_folders(folder: Path) -> None:
    for path in ("data/b.csv", "data\\b.csv"):
        assert read(folder, path) == "x,y\n1,2\n"


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "data/../../secret.txt",
        "data/../a.txt",
        "..\\secret.txt",
        "/etc/passwd",
        "//etc/passwd",
        "\\etc\\passwd",
        "C:\\windows\\win.ini",
        "c:a.txt",
        "~/secret.txt",
        "link.txt",
        "up/secret.txt",
        "up/work/../secret.txt",
        ".env",
        "env.txt",
        "./.env",
        "data/.env",
        "circle",
        "pipe",
        "data",
        ".",
        "",
        "a.txt\0",
        "a" * 5_000,
        "a/" * 5_000,
        "nothing.txt",
        "picture.png",
        "{start}",
    ],
)
def test_what_may_not_be_read_is_an_error(folder: Path, path: str) -> None:
    answer = read(folder, path)
    assert answer.startswith("error: ")
    assert "swordfish" not in answer
    assert len(answer) < 1_000


def test_an_error_says_what_to_use_instead(folder: Path) -> None:
    assert "did you mean 'data/b.csv'?" in read(folder, "data/c.csv")
    assert "there are: a.txt" in read(folder, "zzz")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(["..", ".", "/", "\\", "up", "work", "secret.txt", "link.txt", "a.txt", "data", ".env"]))
)
def test_no_path_leads_out(folder: Path, parts: list[str]) -> None:
    for join in ("/", ""):
        assert "swordfish" not in read(folder, join.join(parts))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=40))
def test_any_path_gets_an_answer(folder: Path, path: str) -> None:
    assert isinstance(read(folder, path), str)


def test_a_link_put_in_between_is_not_followed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.exists

    def swap(path: Path) -> bool:
        there = real(path)
        if path.name == "a.txt" and not path.is_symlink():
            path.unlink()
            path.symlink_to(folder.parent / "secret.txt")
        return there

    monkeypatch.setattr(Path, "exists", swap)
    answer = read(folder, "a.txt")
    assert answer.startswith("error: ")
    assert "swordfish" not in answer


def test_encodings(folder: Path) -> None:
    for name, raw in {
        "bom.txt": b"\xef\xbb\xbfcaf\xc3\xa9\r\n",
        "utf16.txt": "caf\xe9\r\n".encode("utf-16"),
        "west.txt": b"caf\xe9\r",
    }.items():
        (folder / name).write_bytes(raw)
        assert read(folder, name).strip() == "caf\xe9"
    (folder / "random").write_bytes(bytes(range(1, 256)) * 4)
    assert "not a text file" in read(folder, "random")


def test_a_long_line_is_read_on_to_its_end() -> None:
    text = "0123456789" * 100
    pieces = [page(text, start, 300, lambda on: f"read on at {on}").split("\n[…")[0] for start in (0, 300, 600, 900)]
    assert "".join(pieces) == text
    assert "to read on call read on at 300" in page(text, 0, 300, lambda on: f"read on at {on}")
    assert page("", 0, 300, str) == "(the file is empty)"


def test_looking_through_a_folder_ends_at_the_bound(folder: Path) -> None:
    assert [fact.name for fact in Folder(folder, max_files=2).files()] == ["a.txt", "env.txt"]


def test_names_that_cannot_be_shown_are_left_out(folder: Path) -> None:
    before = names(folder)
    (folder / "two\nlines.txt").write_text("x")
    (folder / os.fsdecode(b"broken-\xff.txt")).write_text("x")
    assert names(folder) == before


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    assert "does not exist" in read(tmp_path / "no", "x")
    with pytest.raises(ToolException, match="does not exist"):
        names(tmp_path / "no")
