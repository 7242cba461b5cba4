"""Reading PDF files page by page: what cannot be read of one page costs that page, and is counted."""

import io
import re
from collections.abc import Iterator
from typing import Any

from orchestrator_tools.documents.reading.answer import MOST_CHARACTERS, Answer, Refused, one_line
from orchestrator_tools.documents.reading.letters import plain_letters

_MOST_PAGES = 5_000
_MOST_NAMED = 12  # pages without text, in a sentence


def read_pdf(raw: bytes) -> Answer:
    """Return the text of a PDF file, with a heading for each page, its form, and a sentence about pages without text.

    Raises:
        Refused: It is encrypted, or has no text.
    """
    pages, facts = _pages(raw)
    read: list[str] = []
    missing: list[int] = []
    broken: list[int] = []
    length, end = 0, len(pages)
    for number, page in enumerate(pages, start=1):
        text = None if page is None else plain_letters(page).strip()
        length += len(text or "")
        if length > MOST_CHARACTERS or number > _MOST_PAGES:
            end = number - 1
            break
        if text:
            read.append(f"## Page {number}\n\n{text}\n")
        else:
            (broken if text is None else missing).append(number)
    # A form that was filled in keeps its values beside the pages.
    form = _form(raw)
    if not read and not form:
        raise Refused("holds no text, only pictures" if missing or not broken else "has no page that can be read")
    left_out = [
        *_pages_sentence(missing, len(pages), "no text, only pictures"),
        *_pages_sentence(broken, len(pages), "no text that can be read"),
        *([f"only pages 1 to {end} of {len(pages)} are read"] if end < len(pages) else []),
    ]
    title = one_line(str(facts.get("title") or ""))
    parts = [*([f"# {title}\n"] if title else []), *read, *form]
    return {"text": "\n".join(parts), "title": title, "date": _date(facts), "left_out": left_out}


def _pages(raw: bytes) -> tuple[list[str | None], dict[str, Any]]:
    """Return the text of each page, None for one that cannot be read, and the facts that the file states."""
    from kreuzberg import ExtractionConfig, PageConfig, PdfConfig, extract_bytes_sync
    from kreuzberg.exceptions import KreuzbergError

    config = ExtractionConfig(  # type: ignore[call-arg]  # the stubs lack `disable_ocr`
        use_cache=False,
        disable_ocr=True,
        pages=PageConfig(extract_pages=True),
        pdf_options=PdfConfig(extract_images=False, extract_metadata=True),
    )
    try:
        found = extract_bytes_sync(raw, "application/pdf", config)
    except KreuzbergError as error:
        if "password" in str(error):
            raise Refused("is encrypted") from error
        return _pages_one_by_one(raw)
    facts = dict(found.metadata or {})
    return [str(page["content"]) for page in found.pages or []], facts


def _pages_one_by_one(raw: bytes) -> tuple[list[str | None], dict[str, Any]]:
    """Read what PDFium does not open. pypdf is slower, repairs more, and one bad page costs that page only."""
    import logging

    import pypdf

    logging.disable(logging.CRITICAL)  # pypdf logs every oddity of a file
    reader = pypdf.PdfReader(io.BytesIO(raw), strict=False)
    if reader.is_encrypted and not reader.decrypt(""):
        raise Refused("is encrypted")
    pages: list[str | None] = []
    for number in range(len(reader.pages)):
        try:
            pages.append(reader.pages[number].extract_text())
        except Exception:  # noqa: BLE001 - whatever is wrong with one page, the others are read, and it is counted
            pages.append(None)
    facts: dict[str, Any] = dict(reader.metadata or {})
    return pages, {"title": facts.get("/Title"), "modified_at": str(facts.get("/ModDate", ""))}


def _form(raw: bytes) -> list[str]:
    """Return the filled fields of a form as a section, in a list that is empty without any."""
    if b"/AcroForm" not in raw:
        return []
    import pypdf

    try:
        fields = pypdf.PdfReader(io.BytesIO(raw)).get_form_text_fields(full_qualified_name=True)
    except Exception:  # noqa: BLE001 - pypdf raises anything; the pages are read already
        return ["(The form in this file cannot be read.)\n"]
    lines = [f"- {name}: {plain_letters(str(value))}" for name, value in fields.items() if value not in (None, "")]
    return ["\n".join(["## Form", "", *lines, ""])] if lines else []


def _pages_sentence(numbers: list[int], total: int, what: str) -> Iterator[str]:
    if numbers:
        named = ", ".join(map(str, numbers[:_MOST_NAMED])) + (" and others" if len(numbers) > _MOST_NAMED else "")
        yield f"{len(numbers)} of {total} pages have {what} ({named})"


def _date(facts: dict[str, Any]) -> str | None:
    stamps = [str(facts.get(name) or "") for name in ("modified_at", "created_at")]
    dates = [re.match(r"(?:D?:?)(\d{4})-?(\d{2})-?(\d{2})", stamp) for stamp in stamps]
    return next(("-".join(match.groups()) for match in dates if match), None)
