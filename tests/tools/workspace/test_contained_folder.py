"""No name, link, pipe or race leads out of a workspace."""

import itertools
import os
import shutil
import threading
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tools.workspace.workspace_desk import Desk

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a workspace needs POSIX")


NAMES_OUT = [
    "../secret.txt",
    "a/../../secret.txt",
    "a/../b.txt",
    "..",
    "...//..",
    "..\\secret.txt",
    "a\\b.txt",
    "/etc/passwd",
    "//etc/passwd",
    "~/secret.txt",
    "C:secret.txt",
    "file:///etc/passwd",
    ".env",
    "a/.git/config",
    "a.txt\0",
    "a\nb.txt",
    "a\x1b[2J.txt",
    "\u202etxt.exe",
    "\ud800.txt",
    "\u2024\u2024/secret.txt",
    "\uff0e\uff0e/secret.txt",
    "..\uff0fsecret.txt",
    "a/ b/c.txt",
    "a" * 300,
    "\xe9" * 150,
    "a/" * 20 + "b",
    "a/" * 5_000,
    "",
    "  ",
    ".",
    "./",
    "/",
    "a/",
]


def outside_of(desk: Desk) -> dict[str, bytes]:
    """All that lies around the workspace."""
    around = desk.path.parent
    return {
        str(path.relative_to(around)): path.read_bytes()
        for path in around.rglob("*")
        if path.is_file() and not path.is_relative_to(desk.path)
    }


@pytest.mark.parametrize("name", NAMES_OUT)
def test_a_name_that_leads_elsewhere_is_an_error(desk: Desk, name: str) -> None:
    desk.write("a/b.txt", "x")
    before = outside_of(desk)
    for answer in (desk.read(name), desk.write(name, "taken over"), desk.patch(name, "swordfish", "x")):
        assert answer.startswith("error: ")
        assert "swordfish" not in answer.replace("swordfish", "", name.count("swordfish"))
        assert len(answer) < 500
        assert answer.isprintable()
    assert outside_of(desk) == before
    assert desk.call("list_files") == "a/b.txt (1 bytes)"


@pytest.mark.parametrize("name", ["link.txt", "up/secret.txt", "up/new.txt", "circle", "circle/x", "inner.txt", "hard"])
def test_links_are_not_followed(desk: Desk, name: str) -> None:
    desk.write("a.txt", "alpha")
    (desk.path / "link.txt").symlink_to(desk.path.parent / "secret.txt")
    (desk.path / "up").symlink_to(desk.path.parent)
    (desk.path / "circle").symlink_to(desk.path / "circle")
    (desk.path / "inner.txt").symlink_to(desk.path / "a.txt")
    os.link(desk.path.parent / "secret.txt", desk.path / "hard")
    before = outside_of(desk)
    assert desk.read(name).startswith("error: ")
    assert desk.patch(name, "swordfish", "x").startswith("error: ")
    if name != "hard":  # replaced by a file of its own; what lies outside is not touched
        assert desk.write(name, "taken over").startswith("error: ")
    else:
        desk.write(name, "own")
    assert outside_of(desk) == before
    assert "link.txt" not in desk.call("list_files")


def test_a_workspace_that_is_a_link_is_refused(desk: Desk) -> None:
    desk.path.symlink_to(desk.path.parent / "outside")
    assert desk.read("secret.txt").startswith("error: the workspace cannot be used")
    assert desk.write("new.txt", "x").startswith("error: the workspace cannot be used")


def test_pipes_devices_and_folders_block_nobody(desk: Desk) -> None:
    desk.write("a/b.txt", "x")
    os.mkfifo(desk.path / "pipe")
    assert "is not a file" in desk.read("pipe")
    assert "is a link or a device" in desk.write("pipe", "x")
    assert "is a folder" in desk.read("a")
    assert "is a folder" in desk.write("a", "x")
    assert "Not a directory" in desk.write("a/b.txt/c", "x")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(
            ["..", ".", "/", "\\", "up", "outside", "secret.txt", "link", "a", ".env", "\0", "\uff0e", " "]
        ),
        max_size=8,
    ),
    st.sampled_from(["/", ""]),
)
def test_no_path_leads_out(desk: Desk, parts: list[str], between: str) -> None:
    if not desk.path.exists():
        desk.path.mkdir()
        (desk.path / "up").symlink_to(desk.path.parent)
        (desk.path / "link").symlink_to(desk.path.parent / "secret.txt")
    name = between.join(parts)
    before = outside_of(desk)
    assert "swordfish" not in desk.read(name)
    desk.write(name, "taken over")
    desk.patch(name, "swordfish", "x")
    assert outside_of(desk) == before


def test_a_folder_swapped_for_a_link_in_between_is_not_followed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The swap happens at the worst moment: when the last component is about to be opened, made or renamed."""
    desk.write("a/secret.txt", "own")
    before = outside_of(desk)
    for step in ("open", "mkdir", "rename"):
        real = getattr(os, step)

        def swap(*arguments: Any, real: Any = real, **keywords: Any) -> Any:
            folder = desk.path / "a"
            if folder.is_dir() and not folder.is_symlink() and arguments[0] != desk.path:
                os.replace(folder, desk.path / "b") if not (desk.path / "b").exists() else None
                if not folder.exists():
                    folder.symlink_to(desk.path.parent / "outside")
            return real(*arguments, **keywords)

        with monkeypatch.context() as patched:
            patched.setattr(os, step, swap)
            desk.write("a/secret.txt", "taken over")
            assert "swordfish" not in desk.read("a/secret.txt")
        assert outside_of(desk) == before
        if (desk.path / "a").is_symlink():
            (desk.path / "a").unlink()
            (desk.path / "b").rename(desk.path / "a")


def test_a_race_is_not_won_by_swapping_for_ever(desk: Desk) -> None:
    desk.write("a/secret.txt", "own")
    before = outside_of(desk)
    over = threading.Event()

    gone = desk.path.parent / "gone"
    gone.mkdir()
    swaps = itertools.count()

    def swap() -> None:
        while not over.is_set():
            # The writer makes the folder anew; it may be faster than the link.
            with suppress(FileNotFoundError):
                os.rename(desk.path / "a", gone / str(next(swaps)))
            with suppress(FileExistsError):
                os.symlink(desk.path.parent / "outside", desk.path / "a")
                os.unlink(desk.path / "a")

    attacker = threading.Thread(target=swap)
    attacker.start()
    try:
        answers: list[bool] = []
        while len(answers) < 150 or (len(set(answers)) < 2 and len(answers) < 3_000):
            answers.append(desk.write("a/secret.txt", "own").startswith("error"))
        read = [desk.read("a/secret.txt") for _ in range(150)]
    finally:
        over.set()
        attacker.join(30)
    assert not any("swordfish" in answer for answer in read)
    assert set(answers) == {True, False}  # now refused, now written: the swaps did meet the writes
    shutil.rmtree(gone)
    assert outside_of(desk) == before
