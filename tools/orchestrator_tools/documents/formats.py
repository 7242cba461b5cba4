"""Extracting text from PDF, office and HTML files, mails, books and notebooks.

These formats are large, and anybody may have made the files. So the libraries that parse them run in a child process.
It has a limit of time and, on Linux, of memory. It cannot write files, and does not get the parent's environment, which
may hold keys. A file on which a library hangs, swells or crashes becomes one clear error.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

KINDS: Final[dict[str, str]] = {
    ".pdf": "a PDF file",
    ".docx": "a Word file",
    ".doc": "an old Word file",
    ".xlsx": "an Excel file",
    ".xls": "an old Excel file",
    ".pptx": "a PowerPoint file",
    ".ppt": "an old PowerPoint file",
    ".odt": "an OpenDocument text",
    ".ods": "an OpenDocument spreadsheet",
    ".odp": "an OpenDocument presentation",
    ".rtf": "an RTF file",
    ".epub": "an EPUB book",
    ".fb2": "a FictionBook",
    ".eml": "a mail",
    ".msg": "a mail of Outlook",
    ".ipynb": "a notebook",
}
"""Files whose text has to be extracted, by the ending of their names, and their kind in words."""

_OPEN: Final = "application/vnd.oasis.opendocument."
_MICROSOFT: Final = "application/vnd.openxmlformats-officedocument."
MEDIA_TYPES: Final = {
    "pdf": "application/pdf",
    "docx": f"{_MICROSOFT}wordprocessingml.document",
    "xlsx": f"{_MICROSOFT}spreadsheetml.sheet",
    "pptx": f"{_MICROSOFT}presentationml.presentation",
    "odt": f"{_OPEN}text",
    "ods": f"{_OPEN}spreadsheet",
    "odp": f"{_OPEN}presentation",
    "xls": "application/vnd.ms-excel",
    "doc": "application/msword",
    "ppt": "application/vnd.ms-powerpoint",
    "rtf": "application/rtf",
    "epub": "application/epub+zip",
    "eml": "message/rfc822",
    "msg": "application/vnd.ms-outlook",
    "ipynb": "application/x-ipynb+json",
    "fb2": "application/x-fictionbook+xml",
}
"""The media type of each kind of file, as servers state it."""

# Templates and files with macros differ from documents by their ending only.
_SAME_AS: Final = {".xlsm": ".xlsx", ".xltx": ".xlsx", ".docm": ".docx", ".dotx": ".docx", ".pptm": ".pptx"}
_SCRIPT: Final = Path(__file__).with_name("extraction.py")
_SECONDS: Final = 60


def kind_of(name: str) -> str | None:
    """Return the kind of a file whose text has to be extracted, as `extract` takes it; None for other files.

    Args:
        name: The file's name.
    """
    ending = Path(name).suffix.lower()
    ending = _SAME_AS.get(ending, ending)
    return ending[1:] if ending in KINDS else None


@dataclass(frozen=True)
class Text:
    """The text of a file, and what the file states about itself.

    Args:
        text: The text, as Markdown.
        title: The title that the file states.
        date: The date that the file states, as YYYY-MM-DD.
        left_out: Sentences about the parts of the file that are not in the text.
    """

    text: str
    title: str | None = None
    date: str | None = None
    left_out: tuple[str, ...] = ()


class Unreadable(ValueError):
    """No text could be extracted. The message completes the sentence "the file …"."""


def extract(kind: str, raw: bytes, *, seconds: float = _SECONDS) -> Text:
    """Extract the text of a file.

    Args:
        kind: The kind of the file, by `kind_of`; or `html`.
        raw: The file's bytes; HTML in UTF-8.
        seconds: Time limit.

    Raises:
        Unreadable: The file is encrypted, broken or too large, or has no text.
    """
    # The child imports the same packages as this process. Modules in the current folder, which may be the folder of
    # documents, are left out: an empty entry of `sys.path` stands for it, and `-P` keeps it out of the child's.
    environment = {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    if sys.platform == "win32":
        environment["SYSTEMROOT"] = os.environ["SYSTEMROOT"]  # Python cannot start without it
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-B", "-X", "utf8", str(_SCRIPT), kind, str(max(1, round(seconds)))],
            input=raw,
            capture_output=True,
            timeout=seconds,  # the child's own limit counts CPU time, and not waiting
            env=environment,  # the parent's may hold keys
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unreadable(f"takes longer to read than the limit of {seconds:.0f} seconds") from None
    if done.returncode != 0:
        if b"ModuleNotFoundError" in done.stderr:
            raise Unreadable(
                "cannot be read here: the extras are not installed, agent-task-orchestrator[documents,web]"
            )
        raise Unreadable(f"is broken, or not {'an HTML page' if kind == 'html' else KINDS[f'.{kind}']}")
    answer = json.loads(done.stdout)
    if "error" in answer:
        raise Unreadable(answer["error"])
    return Text(answer["text"], answer["title"], answer["date"], tuple(answer["left_out"]))
