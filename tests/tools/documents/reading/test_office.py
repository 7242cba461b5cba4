"""Office files, mails, books and notebooks hold what their programs show; what is left out of them is told."""

import io
import json
import zipfile
from pathlib import Path

import docx
import pytest
from orchestrator_tools.documents.formats import KINDS, Unreadable, extract, kind_of
from orchestrator_tools.documents.tools import document_tools

WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
SHEET = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
SLIDE = (
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
)
OPEN = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for name in ("office", "text", "table", "drawing")
)
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def zipped(**parts: str) -> bytes:
    """Return an archive; `__` in a name stands for `/` and `_dot_` for a dot."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), text)
    return file.getvalue()


def paragraph(text: str) -> str:
    return f'<w:p><w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>'


def word(body: str) -> bytes:
    """Return a Word file whose body is this markup."""
    made, old = io.BytesIO(), io.BytesIO()
    docx.Document().save(old)
    with zipfile.ZipFile(old) as parts, zipfile.ZipFile(made, "w") as new:
        for entry in parts.infolist():
            data = parts.read(entry)
            if entry.filename == "word/document.xml":
                data = data.replace(b"<w:body>", f"<w:body>{body}".encode(), 1)
            new.writestr(entry, data)
    return made.getvalue()


def excel(*sheets: tuple[str, list[list[object]]]) -> bytes:
    """Return an Excel file with sheets of rows."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        names, links, types = "", "", ""
        for number, (name, rows) in enumerate(sheets, start=1):
            names += f'<sheet name="{name}" sheetId="{number}" r:id="r{number}"/>'
            links += f'<Relationship Id="r{number}" Type="{OFFICE}/worksheet" Target="worksheets/s{number}.xml"/>'
            types += (
                f'<Override PartName="/xl/worksheets/s{number}.xml" ContentType="application/vnd.openxmlformats-'
                'officedocument.spreadsheetml.worksheet+xml"/>'
            )
            cells = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
            archive.writestr(
                f"xl/worksheets/s{number}.xml", f"<worksheet {SHEET}><sheetData>{cells}</sheetData></worksheet>"
            )
        archive.writestr("xl/workbook.xml", f'<workbook {SHEET} xmlns:r="{OFFICE}"><sheets>{names}</sheets></workbook>')
        archive.writestr("xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{RELATIONS}">{links}</Relationships>')
        main = f'<Relationship Id="r" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/>'
        archive.writestr("_rels/.rels", f'<Relationships xmlns="{RELATIONS}">{main}</Relationships>')
        archive.writestr(
            "[Content_Types].xml",
            '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" '
            'ContentType="application/xml"/><Default Extension="rels" ContentType="application/vnd.'
            'openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" '
            'ContentType="application/vnd.openxmlformats-'
            f'officedocument.spreadsheetml.sheet.main+xml"/>{types}</Types>',
        )
    return file.getvalue()


def cell(value: object) -> str:
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
    return f"<c><v>{value}</v></c>"


def open_document(kind: str, body: str) -> bytes:
    media = f"application/vnd.oasis.opendocument.{kind}"
    manifest = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
    return zipped(
        mimetype=media,
        **{
            "META-INF__manifest_dot_xml": f'<m:manifest xmlns:m="{manifest}"><m:file-entry m:full-path="/" '
            f'm:media-type="{media}"/></m:manifest>'
        },
        content_dot_xml=f'<office:document-content {OPEN} office:version="1.2"><office:body>{body}</office:body>'
        "</office:document-content>",
    )


MAIL = """From: Ada <ada@example.org>
To: bob@example.org
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=
Date: Mon, 4 Mar 2024 10:00:00 +0100
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=x

--x
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Der Preis betr=E4gt 500 Euro.
--x
Content-Type: text/csv; name=prices.csv
Content-Disposition: attachment; filename=prices.csv

a,b
--x--
"""
NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "source": ["# Analysis\n"], "metadata": {}},
        {
            "cell_type": "code",
            "source": ["print(6 * 7)"],
            "metadata": {},
            "execution_count": 1,
            "outputs": [{"output_type": "stream", "name": "stdout", "text": ["42\n"]}],
        },
    ],
    "metadata": {},
    "nbformat": 4,
    "nbformat_minor": 5,
}
BOOK = zipped(
    mimetype="application/epub+zip",
    **{
        "META-INF__container_dot_xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
        '<rootfiles><rootfile full-path="c.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
        "c_dot_opf": '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="i"><metadata '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>On bees</dc:title>'
        '<dc:identifier id="i">1</dc:identifier></metadata><manifest>'
        '<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest><spine>'
        '<itemref idref="a"/></spine></package>',
        "a_dot_xhtml": '<!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml"><body><h1>Hives</h1>'
        "<p>Bees live in hives.</p></body></html>",
    },
)
ROWS: list[list[object]] = [["Region", "Revenue"], ["North", 1234567.5], ["South", 17]]

SHOWN: dict[str, tuple[bytes, str]] = {
    "xlsx": (excel(("Budget 2024", ROWS), ("Notes", [["Zyxel: 88 million"]])), "| North | 1234567.5 |"),
    "odt": (
        open_document(
            "text", '<office:text><text:h text:outline-level="1">Bees</text:h><text:p>Bees fly.</text:p></office:text>'
        ),
        "Bees fly.",
    ),
    "ods": (
        open_document(
            "spreadsheet",
            '<office:spreadsheet><table:table table:name="Prices"><table:table-row><table:table-cell '
            'office:value-type="string"><text:p>Honey</text:p></table:table-cell><table:table-cell '
            'office:value-type="float" office:value="12.5"><text:p>12,50</text:p></table:table-cell></table:table-row>'
            "</table:table></office:spreadsheet>",
        ),
        "| Honey | 12.5 |",
    ),
    "rtf": (rb"{\rtf1\ansi\ansicpg1252 The caf\'e9 costs 5 \u8364?.\par}", "The caf\u00e9 costs 5 \u20ac."),
    "eml": (MAIL.replace("\n", "\r\n").encode(), "Der Preis betr\u00e4gt 500 Euro."),
    "epub": (BOOK, "# Hives\n\nBees live in hives."),
    "ipynb": (json.dumps(NOTEBOOK).encode(), "print(6 * 7)"),
}


@pytest.mark.parametrize("kind", SHOWN)
def test_a_document_is_read(kind: str) -> None:
    raw, wanted = SHOWN[kind]
    assert wanted in extract(kind, raw).text


@pytest.mark.parametrize("kind", SHOWN)
def test_a_document_is_found_by_its_file(tmp_path: Path, kind: str) -> None:
    raw, wanted = SHOWN[kind]
    (tmp_path / f"x.{kind.upper()}").write_bytes(raw)
    answer = document_tools(tmp_path, embedder=None)[0].invoke({"query": wanted})
    assert answer.startswith(f"1. x.{kind.upper()}")


def test_each_sheet_has_its_name_over_its_rows() -> None:
    text = extract("xlsx", SHOWN["xlsx"][0]).text
    assert text.startswith("## Budget 2024\n\n| Region | Revenue |\n| --- | --- |\n| North | 1234567.5 |")
    assert "## Notes" in text


def test_a_mail_names_its_attachments_and_says_that_they_are_not_read() -> None:
    mail = extract("eml", SHOWN["eml"][0])
    assert mail.title == "Gr\u00fc\u00dfe"
    assert "its attachments are not read: prices.csv" in mail.left_out


BY = 'w:id="1" w:author="A" w:date="2024-01-01T00:00:00Z"'
RUN = "<w:r><w:t>Quokka</w:t></w:r>"
CONTROL = "<w:sdt><w:sdtPr/><w:sdtContent>{}</w:sdtContent></w:sdt>"
TABLE = "<w:tbl><w:tblPr/><w:tblGrid><w:gridCol/></w:tblGrid><w:tr><w:tc><w:tcPr/>{}</w:tc></w:tr></w:tbl>"
BOX = (
    '<w:pict xmlns:v="urn:schemas-microsoft-com:vml"><v:shape><v:textbox><w:txbxContent>{}</w:txbxContent></v:textbox>'
)
DELETED = f"<w:del {BY}><w:r><w:delText>30 days</w:delText></w:r></w:del>"
IN_WORD = {
    "insertion in a line": f"<w:p><w:r><w:t>It is </w:t></w:r>{DELETED}<w:ins {BY}>{RUN}</w:ins></w:p>",
    "inserted paragraph": f"<w:p><w:ins {BY}>{RUN}</w:ins></w:p>",
    "content control of a block": CONTROL.format(paragraph("Quokka")),
    "content control in a line": f"<w:p>{CONTROL.format(RUN)}</w:p>",
    "table in a content control": CONTROL.format(TABLE.format(paragraph("Quokka"))),
    "moved text": f"<w:p><w:moveTo {BY}>{RUN}</w:moveTo></w:p>",
    "field": f'<w:p><w:fldSimple w:instr="DOCPROPERTY x">{RUN}</w:fldSimple></w:p>',
    "hyperlink": f"<w:p><w:hyperlink>{RUN}</w:hyperlink></w:p>",
    "text box": f"<w:p><w:r>{BOX.format(paragraph('Quokka'))}</v:shape></w:pict></w:r></w:p>",
    "table in a table": TABLE.format(f"{TABLE.format(paragraph('Quokka'))}<w:p/>"),
}


@pytest.mark.parametrize("name", IN_WORD)
def test_what_word_shows_is_read(name: str) -> None:
    text = extract("docx", word(paragraph("Before.") + IN_WORD[name])).text
    assert "Quokka" in text
    assert "30 days" not in text


def test_headers_and_footers_of_pages_are_read_once() -> None:
    document = docx.Document()
    document.add_paragraph("Text.")
    document.sections[0].header.paragraphs[0].text = "Draft of May"
    document.sections[0].footer.paragraphs[0].text = "Confidential"
    file = io.BytesIO()
    document.save(file)
    text = extract("docx", file.getvalue()).text
    assert "## Page header\n\nDraft of May" in text
    assert "## Page footer\n\nConfidential" in text


def test_headings_are_kept_below_the_title() -> None:
    document = docx.Document()
    document.add_heading("Bees", level=1)
    document.add_heading("Wings", level=2)
    file = io.BytesIO()
    document.save(file)
    assert extract("docx", file.getvalue()).text == "## Bees\n\n### Wings\n"


def problem(kind: str, raw: bytes) -> str:
    """Return the sentence about a file that cannot be read; empty for one that can."""
    try:
        extract(kind, raw)
    except Unreadable as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", [ending[1:] for ending in KINDS if ending != ".pdf"])
def test_rubbish_of_any_kind_is_one_sentence(kind: str) -> None:
    for raw in (b"", bytes(range(256)) * 9, b"PK\x03\x04" + bytes(40)):
        assert "\n" not in problem(kind, raw)


@pytest.mark.parametrize("kind", ["xlsx", "pptx", "odt", "epub"])
def test_an_archive_that_unpacks_to_too_much_is_refused(kind: str) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("content.xml", b" " * 70_000_000)
    with pytest.raises(Unreadable, match="unpacks to more than is allowed"):
        extract(kind, file.getvalue())


def test_files_with_macros_and_templates_are_of_the_same_kind() -> None:
    assert [kind_of(name) for name in ("a.XLSM", "b.docm", "c.dotx", "d.pptm", "e.md")] == [
        "xlsx",
        "docx",
        "docx",
        "pptx",
        None,
    ]
