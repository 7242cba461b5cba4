"""Measure a folder, or change its owner, while a sandbox writes to it. No link is followed."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_DEEPEST: Final = 12
"""Most levels of folders: each costs an open file. The workspace tools go less deep."""


def overfull(folder: Path, max_bytes: int, max_files: int) -> str | None:
    """Return the reason, in words, if a folder holds too much or cannot be measured, otherwise None.

    Args:
        folder: The folder.
        max_bytes: Most bytes on the disk.
        max_files: Most files and folders.
    """
    size = count = 0
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        for _, _, facts in _walk(root, 0):
            size += facts.st_blocks * 512  # blocks, because a file with holes is longer than what it takes
            count += 1
            if size > max_bytes or count > max_files:
                return f"the workspace holds more than {max_bytes // 1_000_000:,} MB or {max_files:,} files"
    except _HiddenError:
        return "the workspace has folders that are closed or nested too deeply to be looked into"
    finally:
        os.close(root)
    return None


def hand_over(folder: Path, uid: int) -> None:
    """Make a user the owner of a folder and of the files and folders in it.

    Links keep their owner. So do files with a second name, which can lie outside.

    Args:
        folder: The folder.
        uid: The user, and group.
    """
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(root).st_uid != uid:
            os.fchown(root, uid, uid)
        for parent, name, facts in _walk(root, 0, hidden=True):
            own = stat.S_ISDIR(facts.st_mode) or (stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1)
            if own and facts.st_uid != uid:
                with suppress(FileNotFoundError):  # deleted meanwhile
                    os.chown(name, uid, uid, dir_fd=parent, follow_symlinks=False)
    finally:
        os.close(root)


class _HiddenError(OSError):
    """A folder cannot be opened, or is nested too deeply."""


def _walk(parent: int, depth: int, *, hidden: bool = False) -> Iterator[tuple[int, str, os.stat_result]]:
    """Yield each entry below an open folder: its own open folder, its name and its status.

    Args:
        parent: The folder.
        depth: Level of the folder.
        hidden: Skip folders that cannot be opened, instead of raising an error.
    """
    for name in os.listdir(parent):
        try:
            facts = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            continue
        yield parent, name, facts
        if not stat.S_ISDIR(facts.st_mode):
            continue
        try:
            if depth >= _DEEPEST:
                raise PermissionError
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        except PermissionError as error:
            if not hidden:
                raise _HiddenError from error
            continue
        except (FileNotFoundError, NotADirectoryError):  # deleted, or swapped for a file
            continue
        except OSError as error:
            if error.errno != errno.ELOOP:  # swapped for a link
                raise
            continue
        try:
            yield from _walk(below, depth + 1, hidden=hidden)
        finally:
            os.close(below)
