"""A folder of documents: text of any kind, PDF, office files, mails, books and notebooks."""

import os
import stat
from pathlib import Path
from typing import Final

from langchain_core.tools import ToolException

from orchestrator_tools.documents.folder import Folder, Survey
from orchestrator_tools.documents.formats import Text, Unreadable, extract, kind_of
from orchestrator_tools.documents.passages import plain, stated_date

_OF_KINDS: Final = {
    "pictures": "apng avif bmp gif heic heif ico jpeg jpg jxl png psd raw svgz tif tiff webp xcf",
    "sounds and films": "aac aif avi flac flv m4a m4v mid mkv mov mp3 mp4 mpeg mpg ogg ogv opus wav weba webm wma wmv",
    "archives": "7z ar bz2 cab cpio deb dmg gz iso jar rar rpm tar tgz war xz zip zst",
    "databases and tables of other programs": "accdb arrow avro db dbf duckdb feather h5 hdf5 mdb npy npz orc parquet "
    "pkl rds rdata sas7bdat sqlite sqlite3",
    "programs and their parts": "a apk bin class dat dll dylib egg exe lib lock o obj pyc pyd pyo so wasm whl",
    "fonts": "eot otf ttf woff woff2",
    "models": "ckpt gguf ggml onnx pb pt pth safetensors tflite",
    "documents of other programs": "ai azw azw3 djvu dwg dxf indd key mobi numbers one pages pub sketch vsd vsdx "
    "wpd wps xps",
}
# A name is enough to pass these over. Whatever else is there is looked into, and is read if it is text.
_NOT_READ: Final = {f".{ending}": kind for kind, endings in _OF_KINDS.items() for ending in endings.split()}
_WITH_HEADINGS: Final = ("", ".md", ".markdown", ".txt", ".text", ".rst", ".html", ".htm")

_MOST_BYTES: Final = 50_000_000  # PDF and office files hold pictures besides their text
_MOST_TEXT_BYTES: Final = 30_000_000
_MOST_FILES: Final = 10_000


class Library(Folder):
    """Read-only access to the documents below one directory.

    Args:
        path: The directory, as for `Folder`.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path, max_file_bytes=_MOST_TEXT_BYTES, max_files=_MOST_FILES)

    def documents(self) -> Survey:
        """Return the files that may be documents, and what is passed over.

        Raises:
            ToolException: The folder cannot be used.
        """
        return self.survey(lambda name: _NOT_READ.get(Path(name).suffix.lower(), ""))

    def document(self, name: str) -> Text:
        """Return a document's text, with the title and date that it states.

        Args:
            name: Path inside the folder.

        Raises:
            ToolException: There is no such file, it lies outside, or it cannot be read.
        """
        kind = kind_of(name)
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


def has_headings(name: str) -> bool:
    """True if a line of a file that begins with "#" is a heading. In code and settings it is a comment."""
    return kind_of(name) is not None or Path(name).suffix.lower() in _WITH_HEADINGS
