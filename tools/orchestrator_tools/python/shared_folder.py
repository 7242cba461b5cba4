"""A folder that a sandbox writes to at the same time: measured, and handed over, without following a link."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_DEEPEST: Final = 12
"""Every level costs an open file; the workspace's own tools go less deep."""


def overfull(folder: Path, max_bytes: int, max_files: int) -> str | None:
    """Whether a folder holds too much, or what cannot be measured; in words, None when it does not.

    Args:
        folder: The folder.
        max_bytes: Most bytes on the disk.
        max_files: Most files and folders.
    """
    size = count = 0
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        for _, _, facts in _walk(root, 0):
            size += facts.st_blocks * 512
            count += 1
            if size > max_bytes or count > max_files:
                return f"the workspace holds more than {max_bytes // 1_000_000:,} MB or {max_files:,} files"
    except _HiddenError:
        return "the workspace has folders that are closed or nested too deeply to be looked into"
    finally:
        os.close(root)
    return None


def hand_over(folder: Path, uid: int) -> None:
    """Makes a user the owner of a folder and of the files and folders in it.

    Links are left alone, and so are files with a second name, which may lie outside.

    Args:
        folder: The folder.
        uid: The user, and group.
    """
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(root).st_uid != uid:
            os.fchown(root, uid, uid)
        for place, name, facts in _walk(root, 0, hidden=True):
            own = stat.S_ISDIR(facts.st_mode) or (stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1)
            if own and facts.st_uid != uid:
                with suppress(FileNotFoundError):  # vanished meanwhile
                    os.chown(name, uid, uid, dir_fd=place, follow_symlinks=False)
    finally:
        os.close(root)


class _HiddenError(OSError):
    """There is a folder that cannot be looked into."""


def _walk(place: int, depth: int, *, hidden: bool = False) -> Iterator[tuple[int, str, os.stat_result]]:
    """All below an open folder: the open folder that it is in, its name, its facts.

    Args:
        place: The folder.
        depth: How deep it is itself.
        hidden: Whether to go past folders that cannot be looked into.
    """
    for name in os.listdir(place):
        try:
            facts = os.stat(name, dir_fd=place, follow_symlinks=False)
        except FileNotFoundError:
            continue
        yield place, name, facts
        if not stat.S_ISDIR(facts.st_mode):
            continue
        try:
            if depth >= _DEEPEST:
                raise PermissionError
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=place)
        except PermissionError as error:
            if not hidden:
                raise _HiddenError from error
            continue
        except (FileNotFoundError, NotADirectoryError):  # vanished, or swapped for a file
            continue
        except OSError as error:
            if error.errno != errno.ELOOP:  # swapped for a link
                raise
            continue
        try:
            yield from _walk(below, depth + 1, hidden=hidden)
        finally:
            os.close(below)
