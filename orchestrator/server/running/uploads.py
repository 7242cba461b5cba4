"""Uploads: documents that a person sends from a browser, kept for one thread.

They are kept under a name of their own first, so that a form with a mistake keeps them, and get the thread's name when
it begins. They are read and never executed.
"""

import contextlib
import os
import re
import shutil
import time
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from orchestrator.errors import ConfigError, PersistenceError
from orchestrator.persistence.private_files import FILE_MODE, make_private_folder
from orchestrator.persistence.workspace import uploads_beside, uploads_of

MOST_BYTES = 50_000_000  # of all files of a thread
MOST_FILES = 200
_BLOCK = 1 << 20
_KEPT_S = 86_400  # of files whose form was never sent again
_KEY = re.compile(r"[0-9a-f]{6,32}")
_LONGEST_NAME = 60  # signs; file systems take 255 bytes


class Uploads:
    """The uploaded documents of a database.

    Args:
        database: The file of the database; None for one in memory.
    """

    def __init__(self, database: Path | None) -> None:
        self._database = database

    def keep(self, key: str, files: Iterable[tuple[str, BinaryIO]]) -> list[str]:
        """Keep files of a form, and return the names of all that it has.

        Args:
            key: The form.
            files: Names, as a browser sends them, and contents.

        Raises:
            ConfigError: They are too many or too large, or two have the same name.
            PersistenceError: They cannot be written.
        """
        folder = self._of_form(key)
        try:
            self._drop_old()
            names: set[str] = set()
            for name, content in files:
                if (safe := safe_name(name)) in names:
                    raise ConfigError(f"two of the files are called {safe}: give one another name")
                names.add(safe)
                make_private_folder(folder)
                self._write(folder, safe, content)
        except OSError as error:
            raise PersistenceError(f"cannot keep the files in {folder}: {error.strerror or error}") from error
        return self.names(key)

    def names(self, key: str) -> list[str]:
        """Return the names of the files of a form."""
        folder = self._of_form(key)
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def drop(self, key: str) -> None:
        """Delete the files of a form."""
        shutil.rmtree(self._of_form(key), ignore_errors=True)

    def give(self, key: str, thread_id: str) -> Path:
        """Give the files of a form to a thread, and return their folder.

        Raises:
            ConfigError: The thread has files already.
        """
        folder = uploads_of(self._database, thread_id)
        if folder.exists():
            raise ConfigError(f"thread '{thread_id}' has documents already: choose another name")
        try:
            self._of_form(key).rename(folder)
        except OSError as error:
            raise PersistenceError(f"cannot keep the files in {folder}: {error.strerror or error}") from error
        return folder

    def take_back(self, key: str, thread_id: str) -> None:
        """Take the files from a thread that did not begin, so that the form has them again."""
        with contextlib.suppress(OSError):
            uploads_of(self._database, thread_id).rename(self._of_form(key))

    def _of_form(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ConfigError("this form has no key: load the page again")
        # No thread's folder begins with a dot.
        return uploads_beside(self._database) / f".form-{key}"

    def _write(self, folder: Path, name: str, content: BinaryIO) -> None:
        kept = [path for path in folder.iterdir() if path.name != name]
        if len(kept) >= MOST_FILES:
            raise ConfigError(f"a thread takes {MOST_FILES} files at most")
        # Counted again for each file: what earlier sendings of the form have left counts too.
        room = MOST_BYTES - sum(path.stat().st_size for path in kept)
        path = folder / name
        # The same file once more replaces the one from before: the form came back with a mistake.
        handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), FILE_MODE)
        with os.fdopen(handle, "wb") as file:
            while block := content.read(_BLOCK):
                if (room := room - len(block)) < 0:
                    file.close()
                    path.unlink()
                    raise ConfigError(f"{name}: a thread takes {MOST_BYTES // 1_000_000} MB of files at most")
                file.write(block)

    def _drop_old(self) -> None:
        root = uploads_beside(self._database)
        for folder in root.glob(".form-*") if root.is_dir() else ():
            if time.time() - folder.stat().st_mtime > _KEPT_S:
                shutil.rmtree(folder, ignore_errors=True)


def safe_name(name: str) -> str:
    """Return the name of an uploaded file as it is kept: one name without a folder, and with signs that print.

    Args:
        name: The name as a browser sends it. It may be anything.
    """
    # Windows separates folders by a backslash, and a browser there may send a whole path.
    plain = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    shown = "".join(sign if sign.isprintable() and sign not in '<>:"|?*' else "_" for sign in plain)
    stem, dot, ending = shown.strip(" .").rpartition(".")
    ending = f"{dot}{ending}"[:16]
    return (stem[: _LONGEST_NAME - len(ending)] + ending).lstrip(".") or "document"
