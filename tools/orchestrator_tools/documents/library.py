"""A folder of documents in all formats that can be read: text, tables, Markdown, HTML, PDF and Word."""

import os
import stat
from pathlib import Path
from typing import Final

from langchain_core.tools import ToolException

from orchestrator_tools.documents.folder import FileFact, Folder
from orchestrator_tools.documents.formats import KINDS, Text, Unreadable, extract
from orchestrator_tools.documents.passages import plain, stated_date

SUFFIXES: Final = (".md", ".markdown", ".txt", ".text", ".rst", ".csv", ".tsv", ".html", ".htm", *KINDS)
"""Endings of files that count as documents."""

_MOST_BYTES: Final = 30_000_000  # PDF and Word files hold pictures besides their text


class Library(Folder):
    """Read-only access to the documents below one directory.

    Args:
        path: The directory, as for `Folder`.
    """

    def documents(self) -> dict[str, FileFact]:
        """Return the files that count as documents, readable or not."""
        return {fact.name: fact for fact in self.files() if fact.name.lower().endswith(SUFFIXES)}

    def document(self, name: str) -> Text:
        """Return a document's text, with the title and date that it states.

        Args:
            name: Path inside the folder.

        Raises:
            ToolException: There is no such file, it lies outside, or it cannot be read.
        """
        kind = KINDS.get(Path(name).suffix.lower())
        if kind is None:
            raw = self.read(name)
            return Text(plain(name, raw), date=stated_date(name, raw))
        try:
            return extract(kind, self._bytes(name))
        except Unreadable as error:
            raise ToolException(f"error: '{name}' {error}; use another document") from error

    def _bytes(self, name: str) -> bytes:
        path = self._inside(name)
        try:
            # As in `Folder.read`: do not follow a link that was put here since, and do not wait for a pipe.
            flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
            flags |= getattr(os, "O_BINARY", 0)  # Windows changes line ends without it
            with os.fdopen(os.open(path, flags), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise ToolException(f"error: '{name}' is not a file; give the name of a file")
                raw = file.read(_MOST_BYTES + 1)
        except OSError as error:
            raise ToolException(f"error: '{name}' cannot be read ({error.strerror}); use another document") from error
        if len(raw) > _MOST_BYTES:
            raise ToolException(f"error: '{name}' is larger than the limit of {_MOST_BYTES:,} bytes; use another")
        return raw
