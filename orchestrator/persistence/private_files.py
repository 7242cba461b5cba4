"""Files and folders that only their owner may read, whatever the umask says."""

import os
from pathlib import Path

FILE_MODE = 0o600
FOLDER_MODE = 0o700


def make_private_folder(folder: Path) -> None:
    """Create a folder and its missing parents for the owner alone. Folders that exist keep their mode.

    Raises:
        OSError: A folder cannot be created, or a file is in the way.
    """
    if folder.is_dir():
        return
    make_private_folder(folder.parent)
    try:
        folder.mkdir(FOLDER_MODE)
    except FileExistsError:
        if not folder.is_dir():
            raise
    else:
        folder.chmod(FOLDER_MODE)  # the umask may have taken bits that the owner needs


def make_private_file(path: Path) -> None:
    """Create an empty file for the owner alone. A file that exists keeps its mode and its content.

    Raises:
        OSError: The file cannot be created.
    """
    path = path.resolve()  # a link may name a file that is not there yet
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE)
    except FileExistsError:
        return
    try:
        if hasattr(os, "fchmod"):  # missing on Windows before Python 3.13
            os.fchmod(handle, FILE_MODE)
    finally:
        os.close(handle)


def write_private_file(path: Path, text: str) -> None:
    """Replace the text of a file, and create it for the owner alone if it is missing.

    Raises:
        OSError: The file cannot be written.
    """
    make_private_file(path)
    path.write_text(text, encoding="utf-8")
