"""Extracting text from PDF, Word and HTML files.

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
from typing import Final, Literal

Kind = Literal["pdf", "docx", "html"]

KINDS: Final[dict[str, Kind]] = {".pdf": "pdf", ".docx": "docx"}
"""Kinds by the ending of a file's name, for files whose text has to be extracted."""

_SCRIPT: Final = Path(__file__).with_name("extraction.py")
_CALLED: Final = {"pdf": "a PDF file", "docx": "a Word file", "html": "an HTML page"}
_SECONDS: Final = 60


@dataclass(frozen=True)
class Text:
    """The text of a file, and what the file states about itself.

    Args:
        text: The text, as Markdown.
        title: The title that the file states.
        date: The date that the file states, as YYYY-MM-DD.
    """

    text: str
    title: str | None = None
    date: str | None = None


class Unreadable(ValueError):
    """No text could be extracted. The message completes the sentence "the file …"."""


def extract(kind: Kind, raw: bytes, *, seconds: float = _SECONDS) -> Text:
    """Extract the text of a file.

    Args:
        kind: The kind of the file.
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
            raise Unreadable("cannot be read here: the packages for web and documents are not installed")
        raise Unreadable(f"is broken, or not {_CALLED[kind]}")
    answer = json.loads(done.stdout)
    if "error" in answer:
        raise Unreadable(answer["error"])
    return Text(answer["text"], answer["title"], answer["date"])
