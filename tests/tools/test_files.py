"""Files of one folder can be read, nothing else can, and a pipe or a device blocks nobody."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.tools import BaseTool

from tools.files import file_tools


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


@pytest.fixture
def tools(folder: Path) -> dict[str, BaseTool]:
    return {tool.name: tool for tool in file_tools(folder)}


def test_lists_what_can_be_read(tools: dict[str, BaseTool]) -> None:
    names = [line.split(" (")[0] for line in tools["list_files"].invoke({}).splitlines()]
    assert names == ["a.txt", "env.txt", "picture.png", "same.txt", "data/b.csv"]


@pytest.mark.parametrize("path", ["a.txt", "./a.txt", "same.txt", " a.txt "])
def test_reads_a_file(tools: dict[str, BaseTool], path: str) -> None:
    assert tools["read_file"].invoke({"path": path}) == "alpha"


def test_reads_in_folders(tools: dict[str, BaseTool]) -> None:
    for path in ("data/b.csv", "data\\b.csv"):
        assert tools["read_file"].invoke({"path": path}) == "x,y\n1,2"


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
def test_what_may_not_be_read_is_an_error(tools: dict[str, BaseTool], path: str) -> None:
    answer = tools["read_file"].invoke({"path": path})
    assert answer.startswith("error: ")
    assert "swordfish" not in answer
    assert len(answer) < 1_000


def test_an_error_says_what_to_use_instead(tools: dict[str, BaseTool]) -> None:
    assert "did you mean 'data/b.csv'?" in tools["read_file"].invoke({"path": "data/c.csv"})
    assert "there are: a.txt" in tools["read_file"].invoke({"path": "zzz"})


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(["..", ".", "/", "\\", "up", "work", "secret.txt", "link.txt", "a.txt", "data", ".env"]))
)
def test_no_path_leads_out(tools: dict[str, BaseTool], parts: list[str]) -> None:
    for join in ("/", ""):
        assert "swordfish" not in tools["read_file"].invoke({"path": join.join(parts)})


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=40))
def test_any_path_gets_an_answer(tools: dict[str, BaseTool], path: str) -> None:
    assert isinstance(tools["read_file"].invoke({"path": path}), str)


def test_a_link_put_in_between_is_not_followed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = file_tools(folder)[1]
    real = Path.exists

    def swap(path: Path) -> bool:
        there = real(path)
        if path.name == "a.txt" and not path.is_symlink():
            path.unlink()
            path.symlink_to(folder.parent / "secret.txt")
        return there

    monkeypatch.setattr(Path, "exists", swap)
    answer = read.invoke({"path": "a.txt"})
    assert answer.startswith("error: ")
    assert "swordfish" not in answer


def test_encodings(folder: Path, tools: dict[str, BaseTool]) -> None:
    for name, raw in {
        "bom.txt": b"\xef\xbb\xbfcaf\xc3\xa9\r\n",
        "utf16.txt": "caf\xe9\r\n".encode("utf-16"),
        "west.txt": b"caf\xe9\r",
    }.items():
        (folder / name).write_bytes(raw)
        assert tools["read_file"].invoke({"path": name}) == "caf\xe9"
    (folder / "random").write_bytes(bytes(range(1, 256)) * 4)
    assert "not a text file" in tools["read_file"].invoke({"path": "random"})
    (folder / "empty").write_text("")
    assert tools["read_file"].invoke({"path": "empty"}) == "(the file is empty)"


def test_a_long_line_is_read_on_to_its_end(folder: Path) -> None:
    (folder / "line.txt").write_text("0123456789" * 100)
    read = file_tools(folder, page_characters=300)[1]
    pieces = [read.invoke({"path": "line.txt", "start": start}).split("\n[…")[0] for start in (0, 300, 600, 900)]
    assert "".join(pieces) == "0123456789" * 100


def test_a_long_list_is_shortened_and_says_so(folder: Path) -> None:
    for number in range(200):
        (folder / f"file-{number:03}.txt").write_text("x")
    answer = file_tools(folder, page_characters=500)[0].invoke({})
    assert len(answer) < 600
    assert "more files" in answer


def test_names_that_cannot_be_shown_are_left_out(folder: Path, tools: dict[str, BaseTool]) -> None:
    (folder / "two\nlines.txt").write_text("x")
    (folder / os.fsdecode(b"broken-\xff.txt")).write_text("x")
    answer = tools["list_files"].invoke({})
    assert "lines.txt" not in answer
    assert "broken" not in answer


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    for tool, arguments in zip(file_tools(tmp_path / "no"), ({}, {"path": "x"}), strict=True):
        assert "does not exist" in tool.invoke(arguments)


def test_tools_say_what_they_do(tools: dict[str, BaseTool]) -> None:
    for tool in tools.values():
        assert tool.metadata == {"risk": "read", "effect": "none", "trust": "untrusted"}
        assert "For example: " in tool.description


async def test_works_in_async_code(tools: dict[str, BaseTool]) -> None:
    assert await tools["read_file"].ainvoke({"path": "a.txt"}) == "alpha"
