"""Reading documents of office programs, mails, books and notebooks, with Kreuzberg.

Most of them are archives of XML. Before they are read, nothing in them may unpack to more than is allowed, or declare
entities.
"""

import io
import re
import zipfile
from html import unescape
from typing import Any

from orchestrator_tools.documents.formats import MEDIA_TYPES
from orchestrator_tools.documents.reading.answer import Answer, Refused, cut, one_line
from orchestrator_tools.documents.reading.letters import plain_letters

_MOST_PARTS = 10_000
_MOST_UNPACKED = 60_000_000
_ARCHIVES = frozenset({"docx", "xlsx", "pptx", "odt", "ods", "odp", "epub"})
_OLD = frozenset({"xls", "doc", "ppt", "msg"})


def read_office(kind: str, raw: bytes) -> Answer:
    """Return the text of a document as Markdown.

    Args:
        kind: The ending of its kind, such as `xlsx`.
        raw: The file.

    Raises:
        Refused: It is encrypted, unpacks to too much, or has no text.
    """
    # The signature of OLE2. The old formats of Microsoft are stored in it, and so is an encrypted file of the new ones.
    if raw.startswith(b"\xd0\xcf\x11\xe0") and kind not in _OLD:
        raise Refused("is encrypted, or in the old format of its program")
    parts = _unpacked(kind, raw) if kind in _ARCHIVES else {}
    text, facts, warnings = _converted(kind, raw)
    text = plain_letters(text).strip("\n")
    if kind == "docx":
        text = _demoted(text, has_title=b'w:val="Title"' in parts.get("word/document.xml", b""))
    text = "\n\n".join([*([text] if text.strip() else []), *_beside(kind, parts)]) + "\n"
    if not text.strip():
        raise Refused("holds no text")
    title = one_line(facts.get("title") or facts.get("subject"))
    if title and not re.search("(?m)^# ", text):
        text = f"# {title}\n\n{text}"
    text, left_out = cut(text)
    attached = [str(name) for name in facts.get("attachments") or ()]
    if attached:
        left_out.append(f"its attachments are not read: {', '.join(attached[:10])}")
    day = re.match(r"\d{4}-\d{2}-\d{2}", str(facts.get("modified_at") or facts.get("created_at") or ""))
    return {"text": text, "title": title, "date": day[0] if day else None, "left_out": left_out + warnings}


def _converted(kind: str, raw: bytes) -> tuple[str, dict[str, Any], list[str]]:
    from kreuzberg import ExtractionConfig, extract_bytes_sync

    # Kreuzberg 4.10 knows `disable_ocr`, and its stubs do not.
    config = ExtractionConfig(output_format="markdown", use_cache=False, disable_ocr=True)  # type: ignore[call-arg]
    found = extract_bytes_sync(raw, MEDIA_TYPES[kind], config)
    warnings = [one_line(str(warning)) or "" for warning in found.processing_warnings or ()]
    return str(found.content), dict(found.metadata or {}), warnings


def _unpacked(kind: str, raw: bytes) -> dict[str, bytes]:
    """Return the parts of an archive that are markup.

    Raises:
        Refused: They unpack to too much, or declare entities.
    """
    # A zip bomb cannot hide: zipfile never unpacks more of an entry than the size that the entry states.
    with zipfile.ZipFile(io.BytesIO(raw)) as packed:
        entries = [entry for entry in packed.infolist() if entry.filename.endswith((".xml", ".rels", ".xhtml", ".opf"))]
        if len(entries) > _MOST_PARTS or sum(entry.file_size for entry in entries) > _MOST_UNPACKED:
            raise Refused("unpacks to more than is allowed")
        parts = {entry.filename: packed.read(entry) for entry in entries}
    # No program writes these. They exist to expand without end, or to read other files. Without the zero bytes, UTF-16
    # cannot hide them. Pages of a book do have a document type.
    wanted = rb"<!\s*ENTITY" if kind == "epub" else rb"<!\s*(?:DOCTYPE|ENTITY)"
    if any(re.search(wanted, part.replace(b"\0", b""), re.IGNORECASE) for part in parts.values()):
        raise Refused("declares entities, which no document needs")
    return parts


def _demoted(text: str, *, has_title: bool) -> str:
    """Return a Word document's text with its headings one level lower, except for its title.

    `split` takes a heading of the first level for the document's title.
    """
    # Kreuzberg gives the title and the first headings the same level.
    lines, is_title = text.split("\n"), has_title
    for at, line in enumerate(lines):
        if re.match("#{1,5} ", line):
            lines[at], is_title = (line if is_title else f"#{line}"), False
    return "\n".join(lines)


def _beside(kind: str, parts: dict[str, bytes]) -> list[str]:
    """Return what stands beside the text and Kreuzberg leaves out: headers and footers, and notes of a speaker."""
    named = {"docx": r"word/(header|footer)\d+\.xml", "pptx": r"ppt/notesSlides/notesSlide(\d+)\.xml"}.get(kind, "$^")
    texts: dict[str, str] = {}
    for name in sorted(parts):
        if match := re.fullmatch(named, name):
            runs = re.findall(r"<(?:w|a):t(?: [^>]*)?>([^<]*)<|(</(?:w|a):p>)", parts[name].decode("utf-8", "replace"))
            said = "".join("\n" if end else unescape(run) for run, end in runs).strip()
            title = f"Notes of slide {match[1]}" if kind == "pptx" else f"Page {match[1]}"
            # Most pages have the same header, and a lone figure is the number of the page.
            if said and said not in texts.values() and not said.isdigit():
                texts[f"{title}{'' if title not in texts else ' of other pages'}"] = said
    return [f"## {title}\n\n{said}" for title, said in texts.items()]
