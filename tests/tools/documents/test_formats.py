"""PDF and Word files are documents like others; a hostile one costs one clear error and nobody else."""

import datetime
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from langchain_core.tools import BaseTool
from orchestrator_tools.documents import formats
from orchestrator_tools.documents.formats import Unreadable, extract
from orchestrator_tools.documents.passages import stated_date
from orchestrator_tools.documents.tools import document_tools, folder_problem


def pdf(*pages: str, facts: str = "") -> bytes:
    """A PDF with one line of text on each page."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {len(pages)} /Kids [{kids}] >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, text in enumerate(pages):
        content = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET"
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> "
            f"/Contents {5 + 2 * number} 0 R >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    objects.append(f"<< {facts} >>")
    body, places = b"%PDF-1.7\n", []
    for number, text in enumerate(objects, start=1):
        places.append(len(body))
        body += f"{number} 0 obj\n{text}\nendobj\n".encode("latin-1")
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    return body + (
        f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer\n"
        f"<< /Size {len(objects) + 1} /Root 1 0 R /Info {len(objects)} 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    ).encode("latin-1")


def docx(title: str = "") -> bytes:
    import docx as library

    document = library.Document()
    document.core_properties.title = title
    document.core_properties.modified = datetime.datetime(2024, 5, 1, 10)
    document.add_heading("Bees at work", level=0)
    document.add_paragraph("Insects.")
    document.add_heading("Honey", level=1)
    document.add_paragraph("Bees make honey out of nectar.")
    document.add_heading("Harvest", level=2)
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(
        (cell for row in table.rows for cell in row.cells), ["Year", "Tons", "2023", "17"], strict=True
    ):
        cell.text = text
    document.add_paragraph("first of all", style="List Bullet")
    return saved(document)


def saved(document: object) -> bytes:
    file = io.BytesIO()
    document.save(file)  # type: ignore[attr-defined]
    return file.getvalue()


def encrypted_pdf(password: str) -> bytes:
    import pypdf

    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf("Bees make honey.")))
    writer.encrypt(password, owner_password="owner", algorithm="RC4-128")
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


def docx_with(name: str, content: bytes) -> bytes:
    """A Word file in which one part is replaced."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(docx())) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.namelist():
            new.writestr(entry, content if entry == name else old.read(entry))
    return file.getvalue()


WORDS = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def docx_that_reads(place: Path) -> bytes:
    markup = (
        f'<?xml version="1.0"?><!DOCTYPE w:document [<!ENTITY x SYSTEM "{place.as_uri()}">]>'
        f'<w:document xmlns:w="{WORDS}"><w:body><w:p><w:r><w:t>&x;</w:t></w:r></w:p></w:body></w:document>'
    )
    return docx_with("word/document.xml", markup.encode("utf-16"))


def docx_that_laughs() -> bytes:
    lines = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    markup = (
        f'<?xml version="1.0"?><!DOCTYPE w:document [<!ENTITY l0 "ha">{lines}]>'
        f'<w:document xmlns:w="{WORDS}"><w:body><w:p><w:r><w:t>&l11;</w:t></w:r></w:p></w:body></w:document>'
    )
    return docx_with("word/document.xml", markup.encode())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "papers"
    place.mkdir()
    (place / "bears.pdf").write_bytes(pdf("Bears like salmon.", "Bears sleep in winter."))
    (place / "bees.docx").write_bytes(docx())
    (place / "ants.txt").write_text("Ants eat sugar.\n")
    return place


def search(folder: Path, query: str) -> str:
    return str(document_tools(folder)[0].invoke({"query": query}))


def test_a_pdf_is_found_with_its_page(folder: Path) -> None:
    assert search(folder, "winter sleep") == "1. bears.pdf > bears > Page 2\nBears sleep in winter."


def test_a_word_file_is_found_with_its_heading_and_date(folder: Path) -> None:
    answer = search(folder, "nectar")
    assert answer == "1. bees.docx > Bees at work > Honey\nBees make honey out of nectar.\n(date: 2024-05-01)"


def test_tables_and_lists_of_a_word_file_are_read(folder: Path) -> None:
    text = str(document_tools(folder)[1].invoke({"name": "bees"}))
    assert text.startswith("# Bees at work\n\nInsects.\n\n## Honey\n")
    assert "### Harvest\n\n| Year | Tons |\n| --- | --- |\n| 2023 | 17 |\n\nfirst of all" in text


def test_a_document_is_taken_apart_once_for_searching_and_reading(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds: list[str] = []
    real = formats.extract

    def counting(kind: str, raw: bytes) -> formats.Text:
        kinds.append(kind)
        return real(kind, raw)

    monkeypatch.setattr("orchestrator_tools.documents.library.extract", counting)
    tools: list[BaseTool] = document_tools(folder)
    for _ in range(3):
        tools[0].invoke({"query": "honey"})
        tools[1].invoke({"name": "bears.pdf"})
    assert sorted(kinds) == ["docx", "pdf"]
    (folder / "bears.pdf").write_bytes(pdf("Bears like honey, too."))
    assert "too." in tools[1].invoke({"name": "bears.pdf"})
    assert sorted(kinds) == ["docx", "pdf", "pdf"]


def test_a_pdf_states_its_title_and_its_date() -> None:
    raw = pdf("Text.", facts="/Title (On bees) /CreationDate (D:20240501120000Z)")
    assert extract("pdf", raw) == formats.Text("# On bees\n\n## Page 1\n\nText.\n", "On bees", "2024-05-01")
    assert extract("pdf", pdf("Text.", facts="/CreationDate (soon)")).date is None


def test_a_pdf_that_only_may_not_be_printed_is_read() -> None:
    assert "Bees make honey." in extract("pdf", encrypted_pdf("")).text


def test_a_word_files_own_title_is_used_when_it_has_no_heading() -> None:
    import docx as library

    document = library.Document()
    document.core_properties.title = "On\nbees"
    document.add_paragraph("Text.")
    assert extract("docx", saved(document)).text == "# On bees\n\nText.\n"


HOSTILE: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "locked.pdf": (lambda place: encrypted_pdf("x"), "is encrypted"),
    "broken.pdf": (lambda place: pdf("Bears.")[:300], "is broken, or not a PDF file"),
    "empty.pdf": (lambda place: b"", "is broken, or not a PDF file"),
    "noise.pdf": (lambda place: bytes(range(256)) * 40, "is broken, or not a PDF file"),
    "scan.pdf": (lambda place: pdf(""), "holds no text, only pictures"),
    "circle.pdf": (lambda place: pdf("x").replace(b"/Kids [4 0 R]", b"/Kids [2 0 R]"), "is broken, or not a PDF file"),
    "locked.docx": (
        lambda place: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
        "is encrypted, or in the old format",
    ),
    "broken.docx": (lambda place: docx()[:2_000], "is broken, or not a Word file"),
    "other.docx": (lambda place: b"Not a Word file at all.", "is broken, or not a Word file"),
    "bomb.docx": (lambda place: docx_with("word/document.xml", b" " * 70_000_000), "unpacks to more than is allowed"),
    "reads.docx": (lambda place: docx_that_reads(place / "secret.txt"), "declares entities"),
    "laughs.docx": (lambda place: docx_that_laughs(), "declares entities"),
    "markup.docx": (lambda place: docx_with("word/document.xml", b"<w:document"), "is broken, or not a Word file"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_one_clear_error_and_the_others_stay_searchable(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.txt").write_text("swordfish")
    folder = tmp_path / "papers"
    folder.mkdir()
    make, reason = HOSTILE[name]
    (folder / name).write_bytes(make(tmp_path))
    (folder / "ants.txt").write_text("Ants eat sugar.\n")
    find, read = document_tools(folder)
    answer = find.invoke({"query": "sugar swordfish"})
    assert answer.startswith("1. ants.txt > ants\nAnts eat sugar.")
    assert f"(not searched: {name} ({reason}" in answer
    answer = read.invoke({"name": name})
    assert answer.startswith(f"error: '{name}' ")
    assert reason in answer
    assert "swordfish" not in answer
    assert "\n" not in answer


def test_a_file_that_takes_too_long_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    endless = tmp_path / "endless.py"
    endless.write_text("while True: pass\n")
    monkeypatch.setattr(formats, "_SCRIPT", endless)
    with pytest.raises(Unreadable, match=r"longer to read than the limit of 1 seconds"):
        extract("pdf", b"%PDF", seconds=1)


@pytest.mark.skipif(not os.path.exists("/proc/self/limits"), reason="only Linux limits a process's memory")
def test_what_takes_files_apart_has_limits_and_no_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "swordfish")
    spy = tmp_path / "spy.py"
    spy.write_text(
        "import json, os, resource, sys\n"
        "from orchestrator_tools.documents import extraction\n"
        "extraction._limit(int(sys.argv[2]))\n"
        "kinds = resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE\n"
        "text = json.dumps([sorted(os.environ), [resource.getrlimit(kind)[1] for kind in kinds]])\n"
        "print(json.dumps({'text': text, 'title': None, 'date': None, 'left_out': []}))\n"
    )
    monkeypatch.setattr(formats, "_SCRIPT", spy)
    text = extract("pdf", b"", seconds=30).text
    assert "swordfish" not in text
    assert "OPENAI_API_KEY" not in text
    assert text.endswith("[1500000000, 30, 0]]")


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare = tmp_path / "bare.py"
    bare.write_text("import no_such_package_here\n")
    monkeypatch.setattr(formats, "_SCRIPT", bare)
    with pytest.raises(Unreadable, match="not installed"):
        extract("docx", b"")


def test_a_pdf_that_is_a_link_to_outside_or_too_large_is_not_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder.parent / "outside.pdf").write_bytes(pdf("swordfish"))
    (folder / "link.pdf").symlink_to(folder.parent / "outside.pdf")
    assert "swordfish" not in search(folder, "swordfish").replace("for 'swordfish'", "")
    monkeypatch.setattr("orchestrator_tools.documents.library._MOST_BYTES", 100)
    answer = search(folder, "sugar")
    assert "bears.pdf, bees.docx (is larger than the limit of 100 bytes)" in answer


def test_a_folder_with_nothing_but_a_pdf_is_a_good_folder(tmp_path: Path) -> None:
    (tmp_path / "x.PDF").write_bytes(b"")
    assert folder_problem(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "text", "day"),
    [
        ("a.md", "---\ntitle: x\ndate: 2024-05-01\n---\n# A\n", "2024-05-01"),
        ("a.md", '---\ndate: "2024-05-01T10:00"\n---\n# A\n', "2024-05-01"),
        ("a.md", "---\ndate: soon\n---\n# A\n", None),
        ("a.md", "# A\n\ndate: 2024-05-01\n", None),
        ("a.txt", "2024-05-01", None),
        ("a.html", '<meta name="date" content="2024-05-01">', "2024-05-01"),
        ("a.html", '<meta property="article:published_time" content="2024-05-01T10:00Z">', "2024-05-01"),
        ("a.html", '<meta name="date" content="May"><meta name="date">', None),
    ],
)
def test_other_documents_state_their_date_too(name: str, text: str, day: str | None) -> None:
    assert stated_date(name, text) == day
