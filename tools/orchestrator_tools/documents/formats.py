"""PDF, Word and HTML files as text.

These formats are large and their files come from anybody. So the libraries that take them apart run in a child
process with a limit of time and, on Linux, of memory; without the parent's environment, where keys may stand; and
unable to write a file. A file that makes them loop, swell or crash costs one clear error.
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
"""Which endings of a file's name have to be extracted."""

_SCRIPT: Final = Path(__file__).with_name("extraction.py")
_CALLED: Final = {"pdf": "a PDF file", "docx": "a Word file", "html": "an HTML page"}
_SECONDS: Final = 60


@dataclass(frozen=True)
class Text:
    """What was in a file.

    Args:
        text: Markdown.
        title: As the file states it.
        date: As the file states it, as YYYY-MM-DD.
    """

    text: str
    title: str | None = None
    date: str | None = None


class Unreadable(ValueError):
    """A file out of which no text could be got; the message completes the sentence "the file …"."""


def extract(kind: Kind, raw: bytes, *, seconds: float = _SECONDS) -> Text:
    """The text of a file.

    Args:
        kind: What the file is.
        raw: Its bytes; of HTML in UTF-8.
        seconds: Time limit.

    Raises:
        Unreadable: It is encrypted, broken, too large, or has no text.
    """
    # The child finds the same packages wherever they were installed, but not what lies in the current folder.
    environment = {"PYTHONPATH": os.pathsep.join(place for place in sys.path if place)}
    if sys.platform == "win32":
        environment["SYSTEMROOT"] = os.environ["SYSTEMROOT"]
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-B", "-X", "utf8", str(_SCRIPT), kind, str(max(1, round(seconds)))],
            input=raw,
            capture_output=True,
            timeout=seconds,
            env=environment,
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
