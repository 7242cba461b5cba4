"""Extracting text from PDF, Word and HTML files: the part of `formats.py` that runs in a child process.

This is a script. Its arguments are the kind of the file and a time limit, its standard input is the file. It answers
with JSON on its standard output: either `text`, `title` and `date`, or `error`. Errors of the libraries end the
process, and the parent reports the file as broken.
"""

import io
import json
import re
import sys
import zipfile
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from docx.table import Table

MOST_CHARACTERS: Final = 3_000_000
_MOST_PAGES: Final = 3_000
_MOST_PARTS: Final = 2_000
_MOST_UNPACKED: Final = 60_000_000
_MEMORY: Final = 1_500_000_000
_SHORT_ARTICLE: Final = 250  # characters


class Refused(ValueError):
    """The file is refused. The message completes the sentence "the file …"."""


def main() -> None:
    """Read a file from the standard input, and answer on the standard output."""
    kind, seconds = sys.argv[1], int(sys.argv[2])
    _limit(seconds)
    raw = sys.stdin.buffer.read()
    try:
        answer: dict[str, str | None] = {"pdf": _pdf, "docx": _docx, "html": _html}[kind](raw)
    except Refused as error:
        answer = {"error": str(error)}
    # A PDF's text may have half of a surrogate pair. UTF-8 cannot carry it, but an escape of JSON can.
    sys.stdout.buffer.write(json.dumps(answer).encode("ascii"))


def _limit(seconds: int) -> None:
    """Limit the CPU time and memory of this process, and forbid it to write files."""
    if sys.platform == "win32":  # no such limits; the parent's time limit remains
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if sys.platform != "darwin":  # macOS refuses a limit of the address space
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


def _pdf(raw: bytes) -> dict[str, str | None]:
    import logging

    import pypdf

    logging.disable(logging.CRITICAL)  # pypdf logs every oddity of a file
    reader = pypdf.PdfReader(io.BytesIO(raw))
    if reader.is_encrypted:
        try:
            opened = reader.decrypt("")  # many files are encrypted with an empty password
        except (pypdf.errors.DependencyError, NotImplementedError):  # pypdf: AES needs the package cryptography
            opened = pypdf.PasswordType.NOT_DECRYPTED
        if opened == pypdf.PasswordType.NOT_DECRYPTED:
            raise Refused("is encrypted")
    if len(reader.pages) > _MOST_PAGES:
        raise Refused(f"has more than {_MOST_PAGES:,} pages")
    parts, length = [], 0
    for number, page in enumerate(reader.pages, start=1):
        text = page.extract_text().strip()
        length += len(text)
        if length > MOST_CHARACTERS:
            raise Refused(f"has more than {MOST_CHARACTERS:,} characters")
        if text:
            parts.append(f"## Page {number}\n\n{text}\n")
    if not parts:
        raise Refused("holds no text, only pictures")
    facts = reader.metadata
    title = _line(facts.title if facts else None)
    stamps = [str(facts.get(key, "")) for key in ("/ModDate", "/CreationDate")] if facts else []
    dates = [re.match(r"D?:?(\d{4})(\d{2})(\d{2})", stamp) for stamp in stamps]
    date = next(("-".join(match.groups()) for match in dates if match), None)
    return {"text": "\n".join([f"# {title}\n"] * bool(title) + parts), "title": title, "date": date}


def _docx(raw: bytes) -> dict[str, str | None]:
    import docx
    from docx.table import Table

    # The signature of OLE2. Word's old format is stored in it, and so is an encrypted .docx file.
    if raw.startswith(b"\xd0\xcf\x11\xe0"):
        raise Refused("is encrypted, or in Word's old format")
    # A zip bomb cannot hide: zipfile never unpacks more of an entry than the size that the entry states.
    with zipfile.ZipFile(io.BytesIO(raw)) as packed:
        entries = packed.infolist()
        if len(entries) > _MOST_PARTS or sum(entry.file_size for entry in entries) > _MOST_UNPACKED:
            raise Refused("unpacks to more than is allowed")
        for entry in entries:
            if entry.filename.endswith((".xml", ".rels")):
                _check_markup(packed.read(entry))
    document = docx.Document(io.BytesIO(raw))
    parts = []
    for block in document.iter_inner_content():
        if isinstance(block, Table):
            parts.append(_rows(block))
            continue
        style = (block.style.name if block.style else None) or ""
        heading = re.fullmatch(r"(?i)heading ([1-6])", style)
        # One level lower than in Word: `split` takes a heading of the first level for the document's title.
        sign = "#" * (int(heading[1]) + 1) + " " if heading else "# " if style == "Title" else ""
        sign = sign or ("- " if style.startswith("List") else "")
        if block.text.strip():
            parts.append(sign + block.text.strip() + ("" if sign == "- " else "\n"))
    text = "\n".join(parts)
    if not text.strip():
        raise Refused("holds no text")
    if len(text) > MOST_CHARACTERS:
        raise Refused(f"has more than {MOST_CHARACTERS:,} characters")
    title = _line(document.core_properties.title)
    if title and not re.search("(?m)^# ", text):
        text = f"# {title}\n\n{text}"
    changed = document.core_properties.modified or document.core_properties.created
    return {"text": text, "title": title, "date": changed.date().isoformat() if changed else None}


def _check_markup(raw: bytes) -> None:
    # No word processor writes these. They exist to expand without end, or to read other files. Without the zero bytes,
    # UTF-16 cannot hide them.
    if re.search(rb"<!\s*(?:DOCTYPE|ENTITY)", raw.replace(b"\0", b""), re.IGNORECASE):
        raise Refused("declares entities, which no document needs")


def _rows(table: "Table") -> str:
    lines = [" | ".join(" ".join(cell.text.split()) for cell in row.cells) for row in table.rows]
    return "\n".join(line for line in lines if line.replace("|", "").strip()) + "\n"


def _html(raw: bytes) -> dict[str, str | None]:
    import trafilatura

    # The package loads no module before its use. LangChain would take much of the memory that is allowed here.
    from orchestrator_tools.documents.passages import plain

    page = raw.decode("utf-8")
    tree = trafilatura.load_html(page)
    if tree is None:
        return {"text": plain("page.html", page), "title": None, "date": None}
    # Its extensive search would guess a date from the text. Only a date that the page states counts.
    facts = trafilatura.extract_metadata(tree, extensive=False)
    text = trafilatura.extract(tree, output_format="markdown", include_comments=False, with_metadata=False) or ""
    if len(text) < _SHORT_ARTICLE:  # a list, a table or a start page, which holds no article
        whole = plain("page.html", page)
        text = whole if len(whole) > len(text) else text
    date = re.match(r"\d{4}-\d{2}-\d{2}", (facts.date if facts else None) or "")
    title = _line(facts.title if facts else None)
    return {"text": text[:MOST_CHARACTERS], "title": title, "date": date[0] if date else None}


def _line(text: str | None) -> str | None:
    """Return a title as one printable line, or None if nothing is left of it."""
    # The title stands in a result's first line. With a line break in it, one result could look like two.
    printable = "".join(sign if sign.isprintable() else " " for sign in str(text or ""))
    return " ".join(printable.split())[:200] or None


if __name__ == "__main__":
    main()
