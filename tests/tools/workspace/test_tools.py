"""Workers share a workspace: what one writes the others read, and nothing is lost or seen half written."""

import errno
import hashlib
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from orchestrator_tools.workspace import contained_folder as contained
from orchestrator_tools.workspace.tools import artifacts, workspace_tools

from tests.tools.workspace.workspace_desk import Desk

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a workspace needs POSIX")


def test_a_file_is_written_listed_read_and_patched(desk: Desk) -> None:
    assert desk.call("list_files") == "(there are no files in the workspace yet)"
    desk.write("notes/report.md", "Two months.\n")
    assert desk.call("list_files") == "notes/report.md (12 bytes)"
    desk.patch("notes/report.md", "Two", "Three")
    assert desk.read("notes/report.md") == "Three months."
    assert (desk.path / "notes" / "report.md").read_text() == "Three months.\n"


def test_the_folder_is_made_when_it_is_needed_for_its_owner_alone(desk: Desk) -> None:
    assert not desk.path.exists()
    desk.write("a/b.txt", "x")
    for made in (desk.path, desk.path / "a"):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_the_workers_of_a_thread_share_it_and_other_threads_do_not(desk: Desk, tmp_path: Path) -> None:
    desk.write("a.txt", "alpha")
    assert Desk(desk.path).read("a.txt") == "alpha"
    assert Desk(tmp_path / "other").read("a.txt") == "error: there is no file 'a.txt'; there are no files here"


def test_a_result_ends_with_the_artifact(desk: Desk) -> None:
    digest = hashlib.sha256(b"alpha").hexdigest()[:12]
    assert desk.write("a.txt", "alpha").splitlines()[-1] == f"[artifact: a.txt, 5 bytes, sha256 {digest}]"
    digest = hashlib.sha256(b"alpine").hexdigest()[:12]
    assert desk.patch("a.txt", "ha", "ine").splitlines()[-1] == f"[artifact: a.txt, 6 bytes, sha256 {digest}]"


def test_artifacts_are_all_files_that_can_be_read(desk: Desk) -> None:
    assert artifacts(desk.path) == []
    desk.write("b.txt", "beta")
    desk.write("a/c.txt", "gamma")
    (desk.path / ".hidden").write_text("x")
    (desk.path / "link").symlink_to(desk.path.parent / "secret.txt")
    os.link(desk.path.parent / "secret.txt", desk.path / "hard")
    os.mkfifo(desk.path / "pipe")
    found = artifacts(desk.path)
    assert [(one.name, one.bytes) for one in found] == [("b.txt", 4), ("a/c.txt", 5)]
    assert found[0].sha256 == hashlib.sha256(b"beta").hexdigest()


def test_a_full_workspace_says_so_and_keeps_what_it_has(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "work", max_file_bytes=10, max_files=3, max_total_bytes=15)
    assert "larger than the limit of 10 bytes" in desk.write("a.txt", "x" * 11)
    desk.write("a.txt", "x" * 10)
    assert "full (limit 15 bytes)" in desk.write("b.txt", "y" * 6)
    desk.write("b.txt", "y" * 5)
    assert "larger than the limit" in desk.patch("b.txt", "yyyyy", "z" * 11)
    assert "full (2 of 3 files)" in desk.write("folder/c.txt", "")
    desk.write("c.txt", "")
    assert "full (3 of 3 files)" in desk.write("d.txt", "")
    assert not desk.write("a.txt", "x").startswith("error")  # a file that is there makes room
    assert [one.name for one in artifacts(desk.path)] == ["a.txt", "b.txt", "c.txt"]


def test_a_disk_error_leaves_the_old_file_and_nothing_else(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.write("a.txt", "old")
    real = os.write

    def full(opened: int, data: Any) -> int:
        if len(data) > 3:
            return real(opened, bytes(data[:3]))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    answer = desk.write("a.txt", "a new text")
    monkeypatch.undo()
    assert answer.startswith("error: 'a.txt' cannot be written (No space left on device)")
    assert desk.read("a.txt") == "old"
    assert os.listdir(desk.path) == ["a.txt"]


def test_half_a_file_is_never_seen_and_no_patch_is_lost(desk: Desk) -> None:
    desk.write("count.txt", "".join(f"<{number}>" for number in range(8)))

    def tick(number: int) -> None:
        desk.patch("count.txt", f"<{number}>", f"<{number}!>")

    threads = [threading.Thread(target=tick, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert desk.read("count.txt") == "".join(f"<{number}!>" for number in range(8))


def test_a_writer_that_never_ends_is_an_error_to_the_next(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    desk.write("a.txt", "old")
    monkeypatch.setattr(contained, "_LOCK_SECONDS", 0.0)
    held = os.open(desk.path, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    assert "somebody else has been writing" in desk.write("a.txt", "new")
    os.close(held)
    assert not desk.write("a.txt", "new").startswith("error")


@pytest.mark.parametrize(
    ("old", "hint"),
    [("nowhere", "does not occur"), ("", "does not occur"), ("one", "occurs more than once"), ("aa", "more than once")],
)
def test_a_patch_must_fit_exactly_once(desk: Desk, old: str, hint: str) -> None:
    desk.write("a.txt", "one two one aaa")
    assert hint in desk.patch("a.txt", old, "x")
    assert desk.read("a.txt") == "one two one aaa"


def test_a_patch_keeps_carriage_returns(desk: Desk) -> None:
    desk.write("a.txt", "one\r\ntwo\r\nthree\r\n")
    desk.patch("a.txt", "one\ntwo", "1\n2")
    assert (desk.path / "a.txt").read_bytes() == b"1\r\n2\r\nthree\r\n"


def test_one_name_has_one_file_however_its_accents_are_written(desk: Desk) -> None:
    desk.write("cafe\u0301.txt", "x")
    assert desk.read("caf\xe9.txt") == "x"
    assert len(artifacts(desk.path)) == 1


def test_what_is_no_text_is_an_error(desk: Desk) -> None:
    assert "broken character" in desk.write("a.txt", "\ud800")
    desk.write("a.txt", "x")
    (desk.path / "a.bin").write_bytes(b"\0\1\2")
    (desk.path / "west.txt").write_bytes(b"caf\xe9")
    assert "not a text file" in desk.read("a.bin")
    assert "no text in UTF-8" in desk.patch("west.txt", "caf", "x")


def test_folders_nested_by_others_stop_nobody(desk: Desk) -> None:
    desk.write("a.txt", "x")
    here = desk.path
    for _ in range(40):
        here = here / "deep"
        here.mkdir()
    assert desk.call("list_files") == "a.txt (1 bytes)"
    assert "nested too deeply" in desk.write("b.txt", "x")


def test_a_long_list_and_a_long_text_come_in_pages(desk: Desk) -> None:
    for number in range(60):
        desk.path.mkdir(exist_ok=True)
        (desk.path / f"a-file-with-a-long-name-{number:03}.txt").write_text("x")
    short = Desk(desk.path, page_characters=500)
    assert len(short.call("list_files")) < 600
    assert "more files" in short.call("list_files")
    desk.write("long.txt", "word\n" * 400)
    assert 'read_file(name="long.txt", start=500)' in short.read("long.txt")


def test_without_a_workspace_the_folder_is_used_and_without_both_it_is_an_error(tmp_path: Path) -> None:
    listing = workspace_tools()[0]
    assert listing.invoke({}).startswith("error: there is no workspace here")
    (tmp_path / "a.txt").write_text("x")
    assert workspace_tools(folder=tmp_path)[0].invoke({}) == "a.txt (1 bytes)"


def test_making_the_tools_touches_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stat", "open", "mkdir", "scandir"):
        monkeypatch.setattr(os, name, None)
    assert [tool.name for tool in workspace_tools(folder="nowhere")] == [
        "list_files",
        "read_file",
        "write_file",
        "patch_file",
    ]


def test_tools_say_what_they_do() -> None:
    for tool in workspace_tools():
        facts = tool.metadata or {}
        writes = tool.name in ("write_file", "patch_file")
        assert (facts["risk"], facts["effect"]) == (("write", "idempotent") if writes else ("read", "none"))
        assert facts.get("contained", False) is writes
        assert facts["trust"] == ("trusted" if writes else "untrusted")
        assert "For example: " in tool.description
        assert "config" not in tool.args


def test_wrong_arguments_come_back_as_text(desk: Desk) -> None:
    assert desk.call("write_file", name="a.txt").startswith("error: wrong arguments (text: ")


async def test_works_in_async_code(desk: Desk) -> None:
    config: Any = {"configurable": {"workspace": str(desk.path)}}
    await desk.tools["write_file"].ainvoke({"name": "a.txt", "text": "alpha"}, config)
    assert await desk.tools["read_file"].ainvoke({"name": "a.txt"}, config) == "alpha"
